# Sourced by the scripts: puts a virtual environment with xmir on the PATH.
# Uses $XMIR_VENV, else the active environment, else makes .venv in the project's folder.
# Set `extras` before sourcing to ask for optional packages, for example extras='[dev]'.
# What is there already stays as it is, an xmir from elsewhere, too.
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${XMIR_VENV:-${VIRTUAL_ENV:-$project/.venv}}
if [ ! -x "$venv/bin/python" ]; then
    echo "making the virtual environment $venv" >&2
    "${PYTHON:-python3}" -m venv "$venv"
fi
export PATH="$venv/bin:$PATH"
# what is to be installed, a line each: the project where there is no xmir, else what it lacks
wanted=$(cd / && python - "$project" "${extras:-}" <<'END'
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

folder, extras = sys.argv[1:]
project = tomllib.loads(Path(folder, "pyproject.toml").read_text(encoding="utf-8"))["project"]


def numbers(version):
    return [int(part) for part in re.findall(r"\d+", version.partition("+")[0])]


def is_there(requirement):
    name, sign, version = re.fullmatch(r"([\w-]+)(>=|==)?([\w.*]*)", requirement).groups()
    try:
        found = numbers(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False
    least = numbers(version)
    return found[: len(least)] == least if sign == "==" else found >= least


if not is_there(project["name"]):
    print("--editable", folder + extras, sep="\n")
else:
    asked = [extra for extra in extras.strip("[]").split(",") if extra]
    groups = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in asked)]
    print(*(each for group in groups for each in group if not is_there(each)), sep="\n", end="")
END
)
if [ -n "$wanted" ]; then
    echo "installing" $wanted "(torch is large)" >&2
    printf '%s' "$wanted" | tr '\n' '\0' \
        | xargs -0 python -m pip install --quiet --disable-pip-version-check >&2
fi
