#!/usr/bin/env bash
# Sets up what is missing, then runs every check, fast ones first.
#   tests/run.sh              all, then what goes through libraries with their lowest versions
#   tests/run.sh -k causal    the checks, then only these tests (arguments go to pytest)
set -euo pipefail
cd "$(dirname "$0")/.."
extras='[dev]'
source examples/environment.sh

export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} # tiny networks: more threads only wait for each other
export PYTHONPATH=$PWD # these files, wherever the xmir of the environment is from

ruff format --check .
ruff check .
mypy
lint-imports
if [ $# -gt 0 ]; then
    exec python -m pytest "$@"
fi
# two processes, each takes the next file
python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
tests/lowest.sh
