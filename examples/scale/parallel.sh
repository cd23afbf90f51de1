#!/usr/bin/env bash
# PROCESSES shards side by side on one machine, by GNU parallel, or by xargs where that is not.
# With GNU parallel several machines that see the same files: LOGINS=a.host,b.host
#   examples/scale/parallel.sh TABLE OUT        knobs: see job.sh
# Run it again after a failure: what is done stays done.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/job.sh"
shards() { for i in $(seq "$processes"); do echo "$i/$processes"; done; }
if command -v parallel > /dev/null; then
    shards | parallel --jobs "$processes" --halt soon,fail=1 ${LOGINS:+--sshlogin "$LOGINS"} \
        bash "$here/shard.sh" "$table" "$out"
else
    shards | xargs -P "$processes" -I{} bash "$here/shard.sh" "$table" "$out" {}
fi
finish "$out/embeddings" "$out/cases.xmir"
