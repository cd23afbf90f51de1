#!/usr/bin/env bash
# Runs the tests with the lowest versions that pyproject.toml allows, but for torch and torchvision,
# which are large: they are taken from the environment that is there, with what they need.
#   tests/lowest.sh                   what reads, writes, draws and prints through the libraries
#   tests/lowest.sh tests/store       only these (arguments go to pytest)
set -euo pipefail
cd "$(dirname "$0")/.."
extras='[dev]'
source examples/environment.sh

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python -m venv "$place/venv"
if ! "$place/venv/bin/python" -m pip download --quiet --no-deps --dest "$place" pip; then
    echo "no package index can be reached: the lowest versions are not tried"
    exit
fi
python tests/lowest.py "$place" > "$place/wanted.txt"
cat "$place/wanted.txt"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$place/wanted.txt"

export PATH="$place/venv/bin:$PATH" VIRTUAL_ENV="$place/venv" PYTHONPATH=$PWD
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
if [ $# -eq 0 ]; then
    set -- tests/gallery tests/images tests/pictures tests/render tests/store tests/wire \
        tests/test_edge.py tests/test_manual.py tests/test_printer.py tests/test_table.py
fi
python -m pytest -q -m 'not slow' -n 2 --dist loadfile --no-loadscope-reorder "$@"
