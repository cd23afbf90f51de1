#!/usr/bin/env bash
# The embedding by the actors of a Ray cluster: the one that runs here, else one that is started for
# it (RAY_ADDRESS=local: always that); RAY=head.host:6379, one that this machine has joined by `ray
# start`. Its machines see the same files and have xmir[ray].
#   examples/scale/ray.sh TABLE OUT        knobs: see job.sh
set -euo pipefail
source "$(dirname "$0")/job.sh"
embed --engine "ray${RAY:+://$RAY}" -o "$out/embeddings.parquet" >&2
finish "$out/embeddings.parquet" "$out/cases.xmir"
