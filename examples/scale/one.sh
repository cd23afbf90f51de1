#!/usr/bin/env bash
# The whole job by one process. The other scripts of this folder give the same records.
#   examples/scale/one.sh TABLE OUT        knobs: see job.sh
set -euo pipefail
source "$(dirname "$0")/job.sh"
embed -o "$out/embeddings.parquet" >&2
finish "$out/embeddings.parquet" "$out/cases.xmir"
