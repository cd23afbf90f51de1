#!/usr/bin/env bash
# Trains the model of the base and that of this checkout, each by the train.sh of its own checkout, and gates the
# second against the first: see gate.sh for exit codes.
#   run.sh OUT [BASE [FLAGS...]]     BASE: a folder with the base's checkout, for which this one is taken, too;
#                                    FLAGS: of 'xmir train', for the new model alone
# A base that has no train.sh yet has nothing to gate against: the new model is trained, that is said, exit code 0.
# COUNT=240 in the environment: how many pictures are drawn.
set -euo pipefail
ci=examples/ci # YOURS: where this folder lies in a checkout
new=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
new=${new%"/$ci"}
[ ! -e "$new/examples/environment.sh" ] || source "$new/examples/environment.sh" # in xmir's own checkout
base=$(cd "${2:-$new}" 2> /dev/null && pwd) || base=''
if [ ! -e "$base/.git" ] && [ ! -e "$base/$ci/train.sh" ]; then
    echo "run.sh: BASE: expected the folder of a checkout, found ${2:-$new}" >&2
    exit 2
fi
mkdir -p "${1:-ci-out}"
out=$(cd "${1:-ci-out}" && pwd)
# networks that are code, which checkpoints may name; both sides have their own
export XMIR_NETWORKS="$base:$new${XMIR_NETWORKS:+:$XMIR_NETWORKS}"

# YOURS: a table with path, label, patient and split, the same for both sides; here one is drawn
table="$out/data/labels.csv"
python "$new/examples/phantoms.py" "$out/data" --count "${COUNT:-240}" --size 128 --seed 0

train() { # CHECKOUT NAME [FLAGS...]
    local code=0
    (cd "$1" && bash "$ci/train.sh" "$table" "$out/$2.safetensors" "${@:3}" > "$out/$2-epochs.jsonl") || code=$?
    [ "$code" = 0 ] || { echo "run.sh: the $2 model was not trained: $1/$ci/train.sh ended with $code" >&2; exit 1; }
}
train "$new" new "${@:3}"
if [ ! -e "$base/$ci/train.sh" ]; then
    # GitHub shows a notice on the page of the run
    echo "${GITHUB_ACTIONS:+::notice::}the base has no $ci/train.sh: there is no model to gate against" >&2
    exit 0
fi
train "$base" old
bash "$new/$ci/gate.sh" "$out/old.safetensors" "$out/new.safetensors" "$table" "$out/found"
