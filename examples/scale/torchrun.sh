#!/usr/bin/env bash
# PROCESSES shards by torchrun, a GPU each where there are some.
#   examples/scale/torchrun.sh TABLE OUT        knobs: see job.sh
# Several machines that see the same files: on each of them, with the flags of torchrun and the last
# step left out, then that alone on one of them:
#   export TORCHRUN='--nnodes 4 --rdzv-backend c10d --rdzv-endpoint first.host:29400'
#   LAST=no examples/scale/torchrun.sh TABLE OUT;  LAST=only examples/scale/torchrun.sh TABLE OUT
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/job.sh"
# torchrun takes any exit code above 0 for a failure; 3 only says that images were left out, and is 0
# by shard.sh
[ "${LAST:-yes}" = only ] || run torchrun ${TORCHRUN:---standalone} --nproc-per-node "$processes" \
    --no-python bash "$here/shard.sh" "$table" "$out" >&2
[ "${LAST:-yes}" = no ] || finish "$out/embeddings" "$out/cases.xmir"
