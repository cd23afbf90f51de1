#!/usr/bin/env bash
# The embedding by the actors of a Ray cluster: RAY=head.host:6379, one that this machine has joined
# by `ray start`, or that of RAY_ADDRESS (auto: the one that runs here); else one that is started for
# it. Its machines see the same files and have xmir[ray].
#   examples/scale/ray.sh TABLE OUT        knobs: see job.sh
set -euo pipefail
source "$(dirname "$0")/job.sh"
embed --engine "ray${RAY:+://$RAY}" -o "$out/embeddings.parquet" >&2
finish "$out/embeddings.parquet" "$out/cases.xmir"
