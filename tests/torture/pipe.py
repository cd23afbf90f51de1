"""A long pipe: query | saliency | causal-metric, with the memory of each stage as it runs.

    python tests/torture/pipe.py --records 100000
    python tests/torture/pipe.py --records 3000 --json      one line at the end, for the test

Every record is a pair of its own, of a tiny network. Prints records scored and the resident
megabytes of the three stages; the last line has their growth after the first tenth.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from forks import MODEL, pictures

XMIR = (sys.executable, "-m", "xmir_cli")
STAGES = ("query", "saliency", "causal-metric")


def gallery(folder: Path, images: int) -> None:
    """An index of noise."""
    pictures(folder / "data", images)
    for command in (
        ("embed", "data/labels.csv", *MODEL, "-o", "a.parquet"),
        ("index", "a.parquet", "-o", "a.xmir"),
    ):
        subprocess.run([*XMIR, *command], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def pipe(folder: Path, top: int) -> list["subprocess.Popen[bytes]"]:
    """The three stages, connected; the last one's output is to be read."""
    common = {"cwd": folder, "stdout": subprocess.PIPE}
    query = subprocess.Popen([*XMIR, "query", "--all", "-k", str(top)], **common)
    maps = ("saliency", "--method", "activation", "--device", "cpu", "-o", "maps")
    saliency = subprocess.Popen([*XMIR, *maps], stdin=query.stdout, **common)
    scores = ("causal-metric", "--curve-steps", "2", "--device", "cpu")
    causal = subprocess.Popen([*XMIR, *scores], stdin=saliency.stdout, **common)
    for stage in (query, saliency):
        assert stage.stdout is not None
        stage.stdout.close()
    return [query, saliency, causal]


def resident(process: int) -> int:
    """Megabytes in memory that are the process's own; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) >> 10


def main() -> None:
    """Run the pipe and watch it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--json", action="store_true", help="only the last line")
    asked = parser.parse_args()
    side = int(asked.records**0.5) + 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        gallery(folder, side)
        stages = pipe(folder, asked.records // side)
        began, done, first = time.monotonic(), 0, [0, 0, 0]
        largest = [0, 0, 0]
        expected = side * (asked.records // side)
        assert stages[-1].stdout is not None
        for _ in stages[-1].stdout:
            done += 1
            if done % max(expected // 50, 1):
                continue
            now = [resident(stage.pid) for stage in stages]
            largest = [max(pair) for pair in zip(largest, now, strict=True)]
            if done <= expected // 10:
                first = largest
            if not asked.json:
                print(done, round(time.monotonic() - began), *now, flush=True)
        codes = [stage.wait() for stage in stages]
    growth = [after - before for after, before in zip(largest, first, strict=True)]
    result = {
        "records": done,
        "expected": expected,
        "codes": codes,
        "seconds": round(time.monotonic() - began),
        "megabytes": dict(zip(STAGES, largest, strict=True)),
        "growth": dict(zip(STAGES, growth, strict=True)),
    }
    print(json.dumps(result))
    sys.exit(done != expected or any(codes))


if __name__ == "__main__":
    main()
