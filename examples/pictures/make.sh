#!/usr/bin/env bash
# Makes the pictures that the README and examples/trust show: one from a run of the quickstart, which takes
# minutes, one from the committed table of examples/trust. tests/test_pictures.py says when they are stale.
#   examples/pictures/make.sh [OUT]      OUT: where the quickstart works, or has worked; default: a temporary folder
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
examples=$(dirname "$here")
source "$examples/environment.sh"
out=${1:-$(mktemp -d)}
[ -s "$out/causal.jsonl" ] || QUERIES=2 bash "$examples/quickstart.sh" "$out"

# two queries, the three most similar cases of each, and why
(cd "$out" && grep -m 6 '"method": *"activation"' causal.jsonl \
    | xmir montage --masks mask --side 128 --force -o "$here/overlays.png")
python "$examples/trust/figure.py" "$examples/trust/table.md" "$here/trust.png"

# what they are made from: the pages' look on a made-up page, and the files behind the quickstart
python "$here/probe.py" "$here/probe.png"
(cd "$examples" && for file in phantoms.py small_network.py quickstart.sh pictures/overlays.png pictures/probe.png; do
    python -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest(), sys.argv[1])' "$file"
done) > "$here/made.txt"
