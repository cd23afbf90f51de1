#!/usr/bin/env bash
# Tables 1 and 2 and figures 5 and 6 of the paper on ISIC 2017.
#   examples/isic2017/run.sh DATA OUT
# DATA holds the challenge's part 3 as published: the folders ISIC-2017_Training_Data and
# ISIC-2017_Test_v2_Data, and ISIC-2017_{Training,Test_v2}_Part3_GroundTruth.csv. As in the paper,
# the test set is balanced: of every class as many, drawn at random, as the smallest one has (90).
# Knobs, as environment variables: those of examples/paper.sh, and
#   SUBSET_SEED=0    which test images are drawn
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -ne 2 ]; then
    echo "usage: run.sh DATA OUT" >&2
    exit 2
fi
data=$1
out=$2
mkdir -p "$out"
# shellcheck source-path=SCRIPTDIR/..
source "$here/../environment.sh"
python "$here/labels.py" "$data" "${SUBSET_SEED:-0}" > "$out/labels.csv.part"
mv -- "$out/labels.csv.part" "$out/labels.csv"
export PAPER=isic CLASSES=${CLASSES-keratosis,melanoma,nevus}
export FIGURE=${FIGURE:-figure5} FIGURE_METHOD=${FIGURE_METHOD:-activation}
exec bash "$here/../paper.sh" "$out/labels.csv" "$out"
