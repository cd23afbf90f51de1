#!/usr/bin/env bash
# Runs the tests that need transformers and open_clip, or Ray, with the extras that users install for
# them, in an environment of its own on top of the one that is there: torch is not installed again.
#   tests/run-extras.sh                          all of tests/extras
#   tests/run-extras.sh ray                      all of tests/ray
#   tests/run-extras.sh -k siglip                only these (arguments go to pytest)
#   XMIR_EXTRAS=DIR tests/run-extras.sh          keeps the environment there for the next time
set -euo pipefail
cd "$(dirname "$0")/.."
extras='[dev]'
source examples/environment.sh

groups='hf clip timm' tests=tests/extras
if [ "${1:-}" = ray ]; then
    groups=ray tests=tests/ray
    shift
fi
place=${XMIR_EXTRAS:-$(mktemp -d)}
[ -n "${XMIR_EXTRAS:-}" ] || trap "rm -rf '$place'" EXIT
place=$place/${tests#tests/}  # those of one may break the others
mkdir -p "$place"
wanted=$(python - $groups <<'END'
import sys
import tomllib

with open("pyproject.toml", "rb") as file:
    groups = tomllib.load(file)["project"]["optional-dependencies"]
print(*dict.fromkeys(each for name in sys.argv[1:] for each in groups[name]), sep="\n")
END
)
if [ "$(cat "$place/wanted.txt" 2>/dev/null)" != "$wanted" ]; then
    python -m venv --clear "$place/venv"
    below=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    above=$("$place/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    echo "import site; site.addsitedir('$below')" > "$above/below.pth"
    printf '%s' "$wanted" | tr '\n' '\0' \
        | xargs -0 "$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check
    printf '%s' "$wanted" > "$place/wanted.txt"
fi

export PATH="$place/venv/bin:$PATH" VIRTUAL_ENV="$place/venv" PYTHONPATH=$PWD
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} HF_HUB_OFFLINE=1
if [ $# -eq 0 ] || [ "${1#-}" != "$1" ]; then
    set -- "$tests" "$@"
fi
python -m pytest -q "$@"
