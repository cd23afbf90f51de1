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
python -m pytest "$@"
if [ $# -eq 0 ]; then
    tests/lowest.sh
fi
