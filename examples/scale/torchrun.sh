#!/usr/bin/env bash
# PROCESSES shards by torchrun, a GPU each where there are some.
#   examples/scale/torchrun.sh TABLE OUT        knobs: see job.sh
# Several machines that see the same files: on each of them, with the flags of torchrun and the last
# step left out, then that alone on one of them:
#   export TORCHRUN='--nnodes 4 --rdzv-backend c10d --rdzv-endpoint first.host:29400'
#   LAST=no examples/scale/torchrun.sh TABLE OUT;  LAST=only examples/scale/torchrun.sh TABLE OUT
set -euo pipefail
source "$(dirname "$0")/job.sh"
launch() { run torchrun ${TORCHRUN:---standalone} --nproc-per-node "$processes" -m xmir_cli "$@" >&2; }
# torchrun ends with 1 for any exit code above 0, and 3 only says that images were left out: whether
# every part is there, the index sees
[ "${LAST:-yes}" = only ] || launch embed "$table" --arch "${ARCH:-densenet121}" \
    --weights "${WEIGHTS:-imagenet}" --device "${DEVICE:-auto}" --resume -o "$out/embeddings" || true
[ "${LAST:-yes}" = no ] || finish "$out/embeddings" "$out/cases.xmir"
