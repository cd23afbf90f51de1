#!/usr/bin/env bash
# Gates a new model against the old one over the same labelled images.
#   gate.sh OLD NEW TABLE OUT     two checkpoints of 'xmir train', a table, the folder for what is found
# Exit code 0: it is not worse. 4: a gate was not met; OUT/*.xml say which, OUT/why.png shows both models' maps. Any other:
# it could not be told. TOLERANCE in the environment: how much a mean may be worse (0.05).
set -euo pipefail
old=$1 new=$2 table=$3 out=$4
mkdir -p "$out"
verdict=0
gate() { # all gates are asked, so that one run tells of all that is worse
    local code=0
    "$@" || code=$?
    case $code in 0) ;; 4) verdict=4 ;; *) exit "$code" ;; esac
}

xmir embed "$table" --where split=test --model "$old" --force -o "$out/old.parquet" > "$out/embed.jsonl"
xmir embed "$table" --where split=test --model "$new" --force -o "$out/new.parquet" >> "$out/embed.jsonl"

# is any mean worse than the old model's, by more than is allowed? A baseline is what an earlier run printed
xmir retrieval-metric "$out/old.parquet" > "$out/old-means.jsonl"
gate xmir retrieval-metric "$out/new.parquet" --baseline "$out/old-means.jsonl" --tolerance "${TOLERANCE:-0.05}" \
    --junit "$out/retrieval.xml" --force > "$out/new-means.jsonl"
# is it surely worse? Below 0 the whole 95 % interval of the difference, paired by patient, is on the wrong side
gate xmir compare "$out/old.parquet" "$out/new.parquet" --min map_difference_high=0 --max only_old=0 \
    --junit "$out/compare.xml" --force --summary > "$out/compare.jsonl"

# why: the maps of both models for the queries that lost most, side by side
why() {
    xmir compare "$out/old.parquet" "$out/new.parquet" --worst 6 --hits 2 --k 1,5 \
        | xmir saliency --method activation --force -o "$out/maps" > "$out/maps.jsonl" \
        && xmir montage "$out/maps.jsonl" --force -o "$out/why.png"
}
why || echo "gate.sh: the maps could not be drawn; the verdict stands" >&2
exit "$verdict"
