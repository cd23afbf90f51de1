#!/usr/bin/env bash
# The main job, end to end, on synthetic radiographs whose opacities are known: sets xmir up, trains
# a small network, and runs every command of the pipeline. No network but pip; minutes on two cores.
#   examples/quickstart.sh [OUT]      default: quickstart-out
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/environment.sh"
out=${1:-quickstart-out}
mkdir -p "$out"
cd "$out"
say() { printf '\n\033[1m$ %s\033[0m\n' "$*" >&2; }
run() { say "$@"; "$@"; }

run python "$here/phantoms.py" data --count 300 --size 128 --seed 0

run xmir train data/labels.csv --arch "$here/small_network.py:network" --weights random:0 \
    --epochs 20 --learning-rate 1e-3 --force -o run.safetensors
run xmir embed data/labels.csv --where split=train --model run.safetensors --force -o train.parquet
run xmir embed data/labels.csv --where split=test --model run.safetensors --force -o test.parquet
run xmir index train.parquet --force -o cases.xmir
run xmir info run.safetensors train.parquet cases.xmir

say 'xmir retrieval-metric test.parquet --protocol loo | tee retrieval.jsonl'
xmir retrieval-metric test.parquet --protocol loo --exclude-same patient --format jsonl > retrieval.jsonl

# twelve queries that show an opacity; for each the three most similar cases, and why
grep -E ',(lobar|ground-glass),.*,test,' data/labels.csv | cut -d, -f1 | sed -n '1~4p' | head -12 \
    | sed 's|^|data/|' > queries.txt
first=$(head -1 queries.txt)
run xmir query "$first" --top 3
say 'xmir query - --top 3 < queries.txt | xmir saliency ... | xmir causal-metric > causal.jsonl'
xmir query - --top 3 < queries.txt \
    | xmir saliency --method occlusion,attention,activation,random --window 16 --stride 4 -o maps \
    | xmir causal-metric > causal.jsonl

run xmir diff-saliency data/labels.csv --where split=test --model run.safetensors \
    --classes ground-glass,clear --force -o diff

python "$here/quickstart_summary.py" retrieval.jsonl causal.jsonl data
echo
echo "Pictures to look at, in $PWD:"
echo "  maps/*.png       overlays: which regions of a retrieved image make it similar to the query"
echo "  diff/figure.png  which regions tell ground-glass from clear"
