#!/usr/bin/env bash
# The paper's experiment on a folder with a labels.csv (path, label, patient, split) of one's own.
#   examples/covid-cxr/run.sh DATA OUT
# Knobs, as environment variables: those of examples/paper.sh. Its defaults but for
#   QUERIES=30 TOP=3    maps for the first three hits of thirty test images
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -ne 2 ]; then
    echo "usage: run.sh DATA OUT" >&2
    exit 2
fi
export QUERIES=${QUERIES:-30} TOP=${TOP:-3} PAPER=${PAPER:-covid}
exec bash "$here/../paper.sh" "$1/labels.csv" "$2"
