#!/usr/bin/env bash
#SBATCH --job-name=xmir-embed
#SBATCH --cpus-per-task=8
# A job array of PROCESSES tasks, a shard each, and a job that waits for all of them.
#   examples/scale/slurm.sh TABLE OUT          submits both, with what stands in $SBATCH_FLAGS
# Flags of your cluster: SBATCH_FLAGS='--partition=gpu --gres=gpu:1 --time=4:00:00'. Knobs: see
# job.sh. After a failure run it again: shards that are done end at once. Or submit the tasks that
# failed alone, of as many as before: PROCESSES=8 TASKS=3,5 examples/scale/slurm.sh TABLE OUT
set -euo pipefail
if [ -z "${XMIR_SCALE:-}" ]; then # nothing is submitted yet; salloc has a SLURM_JOB_ID, too
    here=$(cd "$(dirname "$0")" && pwd)
    if [ ! -e "$here/job.sh" ] || [ $# -lt 2 ]; then
        echo "usage: examples/scale/slurm.sh TABLE OUT, without sbatch: it submits itself" >&2
        exit 2
    fi
    export XMIR_SCALE=$here # of a job Slurm runs a copy, which lies elsewhere
    export PROCESSES=${PROCESSES:-2}
    tasks=${TASKS:-0-$((PROCESSES - 1))}
    array=$(sbatch --parsable --export=ALL ${SBATCH_FLAGS:-} --array="$tasks" "$here/slurm.sh" "$@")
    exec sbatch --parsable --export=ALL --dependency="afterok:$array" "$here/slurm.sh" "$@"
fi
source "$XMIR_SCALE/job.sh"
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
    # which shard it is, said: a task that is submitted alone is one of an array of one
    embed -o "$out/embeddings" --shard "$((SLURM_ARRAY_TASK_ID + 1))/$PROCESSES" >&2
else
    finish "$out/embeddings" "$out/cases.xmir"
fi
