#!/usr/bin/env bash
# One shard of the embedding, into the folder of parts that all shards share. Without I/N it is that
# of a rank of torchrun.
#   examples/scale/shard.sh TABLE OUT I/N
set -euo pipefail
source "$(dirname "$0")/job.sh"
[ -n "${3:-${RANK:-}}" ] || usage TABLE OUT I/N
embed ${3:+--shard "$3"} -o "$out/embeddings" >&2
