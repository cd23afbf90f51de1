#!/usr/bin/env bash
# Trains two models on synthetic radiographs, one with the flags in each of two files, and gates the second against the
# first: see gate.sh for exit codes.
#   run.sh OUT [OLD.txt [NEW.txt]]     default: examples/ci/train.txt twice; worse.txt is a change that must not pass
# COUNT=240 ARCH=FILE.py:FUNCTION in the environment: how many pictures, and of which network.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-ci-out} old=${2:-$here/train.txt} new=${3:-$here/train.txt}
source "$here/../environment.sh"
export XMIR_NETWORKS=${XMIR_NETWORKS:-$here/..} # networks that are code, which checkpoints may name from here
mkdir -p "$out"
[ -e "$out/data/labels.csv" ] || python "$here/../phantoms.py" "$out/data" --count "${COUNT:-240}" --size 128 --seed 0
for side in old new; do
    flags=()
    while read -r line; do
        case $line in '#'* | '') ;; *) flags+=($line) ;; esac
    done < "${!side}"
    xmir train "$out/data/labels.csv" --arch "${ARCH:-$here/../small_network.py:network}" "${flags[@]}" --force -o "$out/$side.safetensors" > "$out/$side-epochs.jsonl"
done
bash "$here/gate.sh" "$out/old.safetensors" "$out/new.safetensors" "$out/data/labels.csv" "$out/found"
