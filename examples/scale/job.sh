# Sourced by the scripts of this folder: the job that all of them do, TABLE OUT ... being given.
#   embed TABLE, by one process or many    OUT/embeddings, a file or a folder of parts
#   index, query, retrieval-metric         OUT/retrieval.jsonl, OUT/metric.jsonl
# Knobs, as environment variables:
#   ARCH=densenet121 WEIGHTS=imagenet DEVICE=auto    the network, and where it runs
#   PROCESSES=2     how many share the embedding
#   TOP=5           hits a query; every image asks, without those of its own patient
#   SAMPLE=         score with so many queries, with intervals; all of them where it is empty
usage() { echo "usage: $(basename "$0") $*" >&2; exit 2; }
[ $# -ge 2 ] || usage TABLE OUT
source "$(dirname "${BASH_SOURCE[0]}")/../environment.sh"
table=$(realpath "$1")
mkdir -p "$2"
out=$(cd "$2" && pwd)
processes=${PROCESSES:-2}
# what is run is said before, for copying
run() { { printf '$'; printf ' %q' "$@"; echo; } >&2; "$@"; }
run_into() { # FILE COMMAND ...: what it prints goes there
    { printf '$'; printf ' %q' "${@:2}"; printf ' > %q\n' "$1"; } >&2
    "${@:2}" > "$1"
}

# exit code 3: done, and what could not be read was named and left out
embed() {
    run xmir embed "$table" --arch "${ARCH:-densenet121}" --weights "${WEIGHTS:-imagenet}" \
        --device "${DEVICE:-auto}" --resume "$@" || [ $? -eq 3 ]
}

# finish EMBEDDINGS INDEX: what follows on every route; an index is a folder or a server's URL
finish() {
    run xmir index "$1" -o "$2" --force >&2 || [ $? -eq 3 ]
    run_into "$out/retrieval.jsonl" \
        xmir query --all --index "$2" --exclude-same patient --top "${TOP:-5}" --format jsonl
    run_into "$out/metric.jsonl" \
        xmir retrieval-metric "$1" --exclude-same patient ${SAMPLE:+--sample "$SAMPLE"} --format jsonl
}
