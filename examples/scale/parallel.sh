#!/usr/bin/env bash
# PROCESSES shards side by side on one machine, by GNU parallel, or by xargs where that is not.
# With GNU parallel several machines that see the same files: LOGINS=a.host,b.host. The knobs go
# there, too, but for a secret: what stands in a command all may see. Where patients are keyed, give
# each login $XMIR_PATIENT_KEY itself.
#   examples/scale/parallel.sh TABLE OUT        knobs: see job.sh
# Run it again after a failure: what is done stays done.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/job.sh"
shards() { for i in $(seq "$processes"); do echo "$i/$processes"; done; }
told=() # what a shard is told by the environment, which ends at the machine
for name in ARCH WEIGHTS DEVICE XMIR_VENV XMIR_NETWORKS XMIR_MAX_PIXELS PYTHON OMP_NUM_THREADS; do
    [ -z "${!name:-}" ] || told+=("$name=${!name}")
done
if command -v parallel > /dev/null; then
    shards | parallel --quote --jobs "$processes" --halt soon,fail=1 --workdir "$PWD" \
        ${LOGINS:+--sshlogin "$LOGINS"} env ${told[@]+"${told[@]}"} \
        bash "$here/shard.sh" "$table" "$out"
elif [ -n "${LOGINS:-}" ]; then
    echo "LOGINS needs GNU parallel, which is not here" >&2
    exit 2
else
    shards | xargs -P "$processes" -I{} bash "$here/shard.sh" "$table" "$out" {}
fi
finish "$out/embeddings" "$out/cases.xmir"
