#!/usr/bin/env bash
# Tables 1 and 2 and figures 4 and 6 of the paper on COVIDx.
#   examples/covidx/run.sh DATA OUT
# DATA holds what COVID-Net publishes: train_split*.txt and test_split*.txt (or train_COVIDx*.txt
# and test_COVIDx*.txt), one of each, with lines "patient file label source", and the folders train
# and test with the images. Training starts from CheXNet's weights, as in the paper, when its
# model.pth.tar lies in DATA, else from ImageNet's.
# Knobs, as environment variables: those of examples/paper.sh.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -ne 2 ]; then
    echo "usage: run.sh DATA OUT" >&2
    exit 2
fi
data=$1
out=$2
if [ -z "${WEIGHTS:-}" ] && [ -e "$data/model.pth.tar" ]; then
    WEIGHTS=$data/model.pth.tar
elif [ -z "${WEIGHTS:-}" ]; then
    echo "covidx: no $data/model.pth.tar (CheXNet, as in the paper): ImageNet's weights" >&2
    WEIGHTS=imagenet
fi
mkdir -p "$out"
# shellcheck source-path=SCRIPTDIR/..
source "$here/../environment.sh"
python "$here/labels.py" "$data" > "$out/labels.csv.part"
mv -- "$out/labels.csv.part" "$out/labels.csv"
export WEIGHTS PAPER=covid CLASSES=${CLASSES-pneumonia,COVID-19,normal}
exec bash "$here/../paper.sh" "$out/labels.csv" "$out"
