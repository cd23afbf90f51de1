# Sourced by the scripts: puts a virtual environment with xmir on the PATH.
# Uses $XMIR_VENV, else the active environment, else makes .venv in the project's folder.
# Set `extras` before sourcing to ask for optional packages, for example extras='[dev]'.
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${XMIR_VENV:-${VIRTUAL_ENV:-$project/.venv}}
if [ ! -x "$venv/bin/python" ]; then
    echo "making the virtual environment $venv" >&2
    "${PYTHON:-python3}" -m venv "$venv"
fi
export PATH="$venv/bin:$PATH"
# a fingerprint of what was asked for: an unchanged environment is not touched again, nor is one
# where somebody else has installed this xmir
wanted="$(cksum < "$project/pyproject.toml") $project ${extras:-}"
ours() {
    if compgen -G "$venv/.xmir-installed*" > /dev/null; then
        grep -qF -- "$wanted" "$venv"/.xmir-installed*
    else
        [ -z "${extras:-}" ] && [ -x "$venv/bin/xmir" ] \
            && [ "$(cd / && python -c 'import xmir_cli; print(xmir_cli.__path__[0])')" = "$project/xmir_cli" ]
    fi
}
if ! ours; then
    echo "installing xmir${extras:-} and what it needs (torch is large)" >&2
    python -m pip install --quiet --disable-pip-version-check --editable "$project${extras:-}" >&2
    echo "$wanted" > "$venv/.xmir-installed${extras:-}"
fi
