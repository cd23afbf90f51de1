#!/usr/bin/env bash
# The paper's experiment on one data set, by xmir's commands alone: trains its four models with
# three seeds, prints Tables 1 and 2 beside the paper's numbers, draws figures 4 (or 5) and 6.
#   examples/paper.sh LABELS OUT    LABELS: a table with path, label, split (train, test), patient
# A finished step is not done again: after an interruption, run the same line once more.
# The knobs are environment variables; these are the defaults, the paper's wherever it names them:
: "${SEEDS:=0 1 2}"                              # every model is trained with each of them
: "${MODELS:=untrained plain rr head rr-head}"   # rows of Table 1; plain also gives Table 2
: "${ARCH:=densenet121}" "${WEIGHTS:=imagenet}"  # what training starts from
: "${EPOCHS:=20}" "${PER_CLASS:=16}" "${HEAD:=256}"
: "${QUERIES:=all}" "${TOP:=5}"                  # Table 2: so many test queries, shared among the labels
: "${METHODS:=occlusion,attention,activation}" "${WINDOW:=24}" "${STRIDE:=5}"
: "${STEPS:=224}"                                # of an insertion or deletion curve
: "${CONTROLS:=random-model,random,center}"      # scored beside; random-model: Table 2's random rows
: "${CLASSES:=}"                                 # of figure 6, as A,B,C; empty: all labels
: "${DEVICE:=auto}" "${BATCH:=16}"
: "${PAPER:=none}"                               # whose numbers stand beside: covid, isic or none
: "${FIGURE:=figure4}" "${FIGURE_METHOD:=occlusion}"  # figure 5 of the paper shows activation
set -euo pipefail
if [ $# -ne 2 ]; then
    echo "usage: paper.sh LABELS OUT" >&2
    exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/environment.sh"
if [[ $ARCH == timm:* ]] && ! python -c 'import timm' 2>/dev/null; then
    # shellcheck disable=SC2034 # read by environment.sh
    extras='[timm]'
    source "$here/environment.sh"
fi
labels=$1
out=$2
mkdir -p "$out"

# Runs a step. Exit status 3 says that some inputs were skipped, each of them named: we go on.
run() {
    local status=0
    printf '\n$ %s\n' "$*" >&2
    "$@" || status=$?
    [ "$status" -eq 0 ] || [ "$status" -eq 3 ] || exit "$status"
}
# The same unless FILE is there. make FILE COMMAND...: the command itself writes it, as one step;
# keep FILE COMMAND...: it is what the command prints.
make() {
    [ -e "$1" ] || run "${@:2}" >&2
}
keep() {
    if [ ! -e "$1" ]; then
        run "${@:2}" > "$1.part"
        mv -- "$1.part" "$1"
    fi
}

# what lies in OUT was made with these knobs; others need another folder
knobs="$labels ARCH=$ARCH WEIGHTS=$WEIGHTS EPOCHS=$EPOCHS PER_CLASS=$PER_CLASS HEAD=$HEAD
QUERIES=$QUERIES TOP=$TOP METHODS=$METHODS WINDOW=$WINDOW STRIDE=$STRIDE STEPS=$STEPS
CONTROLS=$CONTROLS CLASSES=$CLASSES FIGURE_METHOD=$FIGURE_METHOD"
if [ -e "$out/knobs.txt" ] && [ "$(cat "$out/knobs.txt")" != "$knobs" ]; then
    printf 'paper.sh: %s was made with other knobs; take another folder\n' "$out" >&2
    printf '%s\n' "$knobs" | diff "$out/knobs.txt" - >&2 || exit 2
fi
printf '%s\n' "$knobs" > "$out/knobs.txt"

# Table 1: train one model with one seed, rank the test images among themselves.
retrieval() {
    local model=$1 seed=$2 folder=$3 network flags=()
    network=(--model "$folder/model.safetensors")
    case $model in
        untrained) network=(--arch "$ARCH" --weights "$WEIGHTS") ;;
        plain) ;;
        rr) flags=(--random-resized-crop) ;;
        head) flags=(--head "$HEAD") ;;
        rr-head) flags=(--random-resized-crop --head "$HEAD") ;;
        *)
            echo "paper.sh: MODELS: untrained, plain, rr, head and rr-head, not $model" >&2
            exit 2
            ;;
    esac
    mkdir -p "$folder"
    if [ "$model" != untrained ]; then
        make "$folder/model.safetensors" \
            xmir train "$labels" --preset paper --arch "$ARCH" --weights "$WEIGHTS" --epochs "$EPOCHS" \
            --per-class "$PER_CLASS" --seed "$seed" ${flags[@]+"${flags[@]}"} \
            --device "$DEVICE" --resume -o "$folder/model.safetensors"
    fi
    make "$folder/test.parquet" \
        xmir embed "$labels" --where split=test "${network[@]}" \
        --device "$DEVICE" --batch "$BATCH" --resume -o "$folder/test.parquet"
    keep "$folder/retrieval.jsonl" \
        xmir retrieval-metric "$folder/test.parquet" --protocol loo --format jsonl
    keep "$folder/retrieval-x-mir.jsonl" \
        xmir retrieval-metric "$folder/test.parquet" --protocol loo --map-mode x-mir --format jsonl
}

# Table 2: explain the test images nearest to a test image, score the maps on the trained model.
explanation() {
    local seed=$1 folder=$2 methods part
    make "$folder/test.xmir" xmir index "$folder/test.parquet" -o "$folder/test.xmir"
    keep "$folder/hits-all.jsonl" \
        xmir query --index "$folder/test.xmir" --all --no-self --top "$TOP" --format jsonl
    keep "$folder/hits.jsonl" python "$here/paper_queries.py" "$QUERIES" "$folder/hits-all.jsonl"
    keep "$folder/maps.jsonl" \
        xmir saliency "$folder/hits.jsonl" --method "$METHODS" --window-size "$WINDOW" \
        --stride "$STRIDE" --device "$DEVICE" --batch "$BATCH" --format jsonl -o "$folder/maps"
    # do the maps lie on the experts' masks, where there are some?
    if grep -q '"mask": \[\?"[^"]' "$folder/maps.jsonl"; then
        keep "$folder/localization.jsonl" \
            xmir localization-metric "$folder/maps.jsonl" --masks mask --format jsonl
    fi
    [ ! -e "$folder/causal.jsonl" ] || return 0
    # scoring takes longest: in parts of 20 queries, so that an interruption costs one of them
    mkdir -p "$folder/parts"
    methods=$(tr ',' '\n' <<< "$METHODS" | grep -c .)
    split -a 4 -l $((20 * TOP * methods)) "$folder/maps.jsonl" "$folder/parts/maps-"
    for part in "$folder"/parts/maps-????; do
        keep "$folder/parts/causal-${part##*-}.jsonl" \
            xmir causal-metric "$part" --blur paper --curve-steps "$STEPS" --control "$CONTROLS" \
            --seed "$seed" --device "$DEVICE" --batch "$BATCH" --format jsonl
    done
    keep "$folder/causal.jsonl" cat "$folder"/parts/causal-????.jsonl
}

# Figures 4 and 5: for each label a query whose first three are right, and one where they are
# wrong. Figure 6: where classes differ.
figures() {
    local folder=$1 kind picture classes=()
    for kind in right wrong; do
        picture=$out/$FIGURE-$kind.png
        keep "$folder/$kind.jsonl" \
            python "$here/paper_cases.py" "$kind" "$FIGURE_METHOD" "$folder/maps.jsonl"
        [ ! -s "$folder/$kind.jsonl" ] || make "$picture" xmir montage "$folder/$kind.jsonl" -o "$picture"
    done
    [ -z "$CLASSES" ] || classes=(--classes "$CLASSES")
    make "$out/figure6/figure.png" \
        xmir diff-saliency "$labels" --where split=test --model "$folder/model.safetensors" \
        ${classes[@]+"${classes[@]}"} --device "$DEVICE" --batch "$BATCH" -o "$out/figure6"
}

first=${SEEDS%% *}
for seed in $SEEDS; do
    for model in $MODELS; do
        case $model in
            untrained) retrieval untrained "$seed" "$out/untrained" ;;
            *) retrieval "$model" "$seed" "$out/$model-$seed" ;;
        esac
    done
    if [[ " $MODELS " == *" plain "* ]]; then
        explanation "$seed" "$out/plain-$seed"
        [ "$seed" != "$first" ] || figures "$out/plain-$seed"
    fi
done
python "$here/paper_tables.py" "$out" "$PAPER" "$ARCH" "$SEEDS" "$MODELS" > "$out/tables.txt.part"
mv -- "$out/tables.txt.part" "$out/tables.txt"
cat "$out/tables.txt"
