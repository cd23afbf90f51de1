#!/usr/bin/env bash
#SBATCH --job-name=xmir-embed
#SBATCH --cpus-per-task=8
# A job array of PROCESSES tasks, a shard each, and a job that waits for all of them.
#   examples/scale/slurm.sh TABLE OUT          submits both, with what stands in $SBATCH_FLAGS
# Flags of your cluster: SBATCH_FLAGS='--partition=gpu --gres=gpu:1 --time=4:00:00'. Knobs: see
# job.sh. After a failure run it again: shards that are done end at once.
set -euo pipefail
if [ -z "${SLURM_JOB_ID:-}" ]; then
    here=$(cd "$(dirname "$0")" && pwd)
    export XMIR_SCALE=$here # of a job Slurm runs a copy, which lies elsewhere
    last=$((${PROCESSES:-2} - 1))
    array=$(sbatch --parsable --export=ALL ${SBATCH_FLAGS:-} --array="0-$last" "$here/slurm.sh" "$@")
    exec sbatch --parsable --export=ALL --dependency="afterok:$array" "$here/slurm.sh" "$@"
fi
source "$XMIR_SCALE/job.sh"
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
    embed -o "$out/embeddings" >&2 # which shard it is, the variables of the array say
else
    finish "$out/embeddings" "$out/cases.xmir"
fi
