#!/usr/bin/env bash
# Which saliency methods deserve trust, and for what? A table each of phantoms under a convolutional network and under a
# transformer (those of run.py, taken from its OUT where they are, trained here where not), and of radiographs of your
# own under a network that is trained on from given weights.
#   examples/trust/closing.sh OUT
#   examples/trust/closing.sh OUT XRAYS WEIGHTS    XRAYS/labels.csv: path,label,patient,split; WEIGHTS: a file for ARCH
# In the environment: SEED=0 NETWORKS='convolutions class_token' COUNT=1500 EPOCHS=45 PAIRS=24 (phantoms, passes of
# training, pairs explained); ARCH=timm:tf_efficientnet_lite0 XRAY_SIDE=160 XRAY_EPOCHS=5 XRAY_FROZEN=7 XRAY_PAIRS=10
# (pixels of the input, passes, blocks that stay as they are, pairs); MASKS=100 STEPS=16 (of rise, of a curve).
# OUT/closing.md is the result. What is there already is not made again.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../environment.sh"
out=${1:?which folder?} xrays=${2:-} weights=${3:-}
[ -z "$xrays" ] || xrays=$(cd "$xrays" && pwd)
[ ! -e "$weights" ] || weights=$(cd "$(dirname "$weights")" && pwd)/$(basename "$weights")
mkdir -p "$out"
cd "$out"
# networks.py is code, which checkpoints and records may name from here
export XMIR_NETWORKS=$here${XMIR_NETWORKS:+:$XMIR_NETWORKS}
seed=${SEED:-0}

say() { printf '\n\033[1m$ %s\033[0m\n' "$*" >&2; }
# to FILE COMMAND...: what the command prints, whole or not at all; exit code 3, some items left out, is well
to() {
    local file=$1
    shift
    [ ! -e "$file" ] || return 0
    say "$@"
    "$@" > "$file.part" || [ $? = 3 ]
    mv "$file.part" "$file"
}

# explain FOLDER NAME FLAG...: maps of the pairs, and whether they depend on the query and on the weights
explain() {
    local folder=$1/closing name=$2
    shift 2
    to "$folder/maps-$name.jsonl" xmir saliency "$folder/pairs.jsonl" "$@" -o "$folder/maps" --no-overlay --format jsonl
    to "$folder/sanity-$name.jsonl" xmir sanity-check "$folder/pairs.jsonl" "$@" --test query,model --mode full \
        --format jsonl
}

# judge FOLDER SIDE PAIRS [COLUMN]: all of a row; SIDE: pixels of the input, COLUMN: of the masks, where there are any
judge() {
    local in=$1/closing windows=(--window-size $(($2 / 5)) --stride $(($2 / 10)))
    local methods=activation,bilrp,attention,gradcam,integrated-gradients,occlusion,rise,rollout,edges,center,random
    to "$in/hits.jsonl" xmir query --all --index "$in/test.xmir" --top 3 --exclude-same patient --format jsonl
    to "$in/pairs.jsonl" python "$here/closing.py" --pairs "$3" "$in/hits.jsonl"
    explain "$1" plain --method "$methods" "${windows[@]}" --masks "${MASKS:-100}" --path-steps 16
    explain "$1" center --method activation --center
    explain "$1" black --method occlusion "${windows[@]}" --fill black
    to "$in/maps.jsonl" cat "$in"/maps-{plain,center,black}.jsonl
    to "$in/causal.jsonl" xmir causal-metric "$in/maps.jsonl" --control center --curve-steps "${STEPS:-16}" \
        --summary --format jsonl
    [ -z "${4:-}" ] || to "$in/truth.jsonl" xmir localization-metric "$in/maps.jsonl" --masks "$4" \
        --hit-tolerance 0 --summary --format jsonl
}

# indexed FOLDER TABLE [FLAG...]: what FOLDER/model.safetensors knows of the test images
indexed() {
    local in=$1/closing
    [ ! -e "$in/retrieval.jsonl" ] || return 0
    xmir embed "$2" --where split=test "${@:3}" --model "$1/model.safetensors" --force -o "$in/test.parquet" >&2
    xmir index "$in/test.parquet" --force -o "$in/test.xmir" >&2
    to "$in/retrieval.jsonl" xmir retrieval-metric "$in/test.parquet" --exclude-same patient --format jsonl
}

# trained FOLDER TABLE FLAG...
trained() {
    mkdir -p "$1/closing"
    [ -e "$1/model.safetensors" ] || to "$1/closing/training.jsonl" xmir train "$2" "${@:3}" --seed "$seed" \
        --preset paper --schedule cosine --no-flip --resume --format jsonl -o "$1/model.safetensors"
}

sets=()
for network in ${NETWORKS-convolutions class_token}; do
    phantoms=phantoms-$seed folder=$network-$seed
    [ -e "$phantoms/labels.csv" ] || python "$here/../phantoms.py" "$phantoms" --count "${COUNT:-1500}" --size 80 \
        --seed "$seed" --one-spot >&2
    trained "$folder" "$phantoms/labels.csv" --arch "$here/networks.py:$network" --weights "random:$seed" \
        --epochs "${EPOCHS:-45}" --per-class 4 --learning-rate 1e-3
    indexed "$folder" "$phantoms/labels.csv" --where 'label!=clear'
    judge "$folder" 80 "${PAIRS:-24}" mask
    sets+=("$folder")
done
if [ -n "$xrays" ]; then
    side=${XRAY_SIDE:-160}
    trained radiographs "$xrays/labels.csv" --arch "${ARCH:-timm:tf_efficientnet_lite0}" --weights "$weights" \
        --input-size "$side" --resize "$side" --epochs "${XRAY_EPOCHS:-5}" --freeze-layers "${XRAY_FROZEN:-7}" \
        --learning-rate 3e-4
    indexed radiographs "$xrays/labels.csv"
    judge radiographs "$side" "${XRAY_PAIRS:-10}"
    sets+=(radiographs)
fi
python "$here/closing.py" "${sets[@]}" | tee closing.md
