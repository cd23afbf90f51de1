#!/usr/bin/env bash
# The main job, end to end, on synthetic radiographs whose opacities are known: sets xmir up, trains
# a small network, and runs every command of the pipeline. No network but pip; minutes on two cores.
#   examples/quickstart.sh [OUT]      default: quickstart-out
# COUNT=420 EPOCHS=20 QUERIES=12 in the environment: how many pictures, passes and explained queries.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
extras='[report]'
source "$here/environment.sh"
out=${1:-quickstart-out}
mkdir -p "$out"
cd "$out"
export XMIR_NETWORKS=$here # small_network.py is code, which checkpoints and records may name from here
say() { printf '\n\033[1m$ %s\033[0m\n' "$*" >&2; }
run() { say "$@"; "$@"; }

run python "$here/phantoms.py" data --count "${COUNT:-420}" --size 128 --seed 0

# steps that end small: with constant ones the last epochs jump, and so do the maps. And a network whose cells look where
# they are drawn: with four seeds (--weights random:N --seed N) 92 to 97 % of activation's peaks then lie within 5 pixels
# of an opacity (chance 10 %; AUROC .91 to .95), with kernels of 3 and 5 in their place 36 to 94 % (AUROC .86 to .96)
run xmir train data/labels.csv --arch "$here/small_network.py:network" --weights random:0 --head 64 --per-class 8 \
    --preset paper --epochs "${EPOCHS:-20}" --learning-rate 1e-3 --schedule cosine --plot run.png --force -o run.safetensors
run xmir embed data/labels.csv --where split=train --model run.safetensors --force -o train.parquet
run xmir embed data/labels.csv --where split=test --model run.safetensors --force -o test.parquet
run xmir index train.parquet --force -o cases.xmir
run xmir info run.safetensors train.parquet cases.xmir

run xmir retrieval-metric test.parquet --exclude-same patient --format table

# a dozen queries that show an opacity; for each the three most similar cases, and why
(head -1 data/labels.csv; grep -E ',(lobar|ground-glass),.*,test,' data/labels.csv | awk 'NR % 4 == 1') \
    | sed '2,$s|^|data/|' | head -$((${QUERIES:-12} + 1)) > queries.csv
run xmir query "$(sed -n 2p queries.csv | cut -d, -f1)" --top 3
# black is what a place without an opacity looks like; gray, the paper's choice, shows what a wrong one does
say 'xmir query queries.csv --top 3 | xmir saliency | xmir causal-metric > causal.jsonl'
xmir query queries.csv --top 3 \
    | xmir saliency --method activation,occlusion,attention,random --window-size 16 --stride 4 --fill black -o maps \
    | xmir causal-metric --format jsonl > causal.jsonl
say 'xmir query queries.csv --top 3 | xmir saliency --method occlusion --fill gray | xmir causal-metric > gray.jsonl'
xmir query queries.csv --top 3 \
    | xmir saliency --method occlusion --window-size 16 --stride 4 --fill gray --no-overlay -o maps \
    | xmir causal-metric --format jsonl > gray.jsonl
head -24 causal.jsonl | grep -v '"random"' | xmir montage --masks mask --side 160 --force -o overlays.png
run xmir report causal.jsonl --masks mask --title "Quickstart" --force -o report.html
say 'head -12 causal.jsonl | xmir sanity-check --method activation,attention --mode full'
head -12 causal.jsonl | xmir sanity-check --method activation,attention --mode full

run xmir diff-saliency data/labels.csv --where split=test --model run.safetensors \
    --classes ground-glass,lobar,clear --permutations 1000 --force -o diff

say 'cat causal.jsonl gray.jsonl | xmir causal-metric --summary'
cat causal.jsonl gray.jsonl | xmir causal-metric --summary --format table
# where the opacities are known, do the maps lie on them? A peak counts up to half a cell of the network's map, 5 pixels,
# beside one; hit_chance knows that. Exit code 3: pictures without an opacity are left out by name
say 'cat causal.jsonl gray.jsonl | xmir localization-metric --masks mask --hit-tolerance 5 --control center,edges --summary'
cat causal.jsonl gray.jsonl | xmir localization-metric --masks mask --hit-tolerance 5 --control center,edges \
    --summary --format table || [ $? = 3 ]
echo
echo "Pictures to look at, in $PWD:"
echo "  overlays.png     queries, their nearest cases, the regions that make them similar, the true opacities"
echo "  report.html      the same for a browser, with curves, numbers and what made them"
echo "  maps/*.png       overlays: which regions of a retrieved image make it similar to the query"
echo "  run.png          how the training went"
echo "  diff/figure.png  which regions tell the classes apart"
