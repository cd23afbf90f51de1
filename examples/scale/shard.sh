#!/usr/bin/env bash
# One shard of the embedding, into the folder of parts that all shards share.
#   examples/scale/shard.sh TABLE OUT I/N
set -euo pipefail
source "$(dirname "$0")/job.sh"
embed --shard "$3" -o "$out/embeddings" >&2
