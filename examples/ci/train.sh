#!/usr/bin/env bash
# Trains the model of a checkout, in whose root it is called: its network, with these flags.
#   train.sh TABLE OUT.safetensors [FLAGS...]      absolute paths; FLAGS win over those below
set -euo pipefail
# YOURS: the network, and how it is trained
xmir train "$1" --force -o "$2" --arch examples/small_network.py:network --weights random:0 --head 64 \
    --per-class 8 --epochs 8 --learning-rate 1e-3 --schedule cosine "${@:3}"
