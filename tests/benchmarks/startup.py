"""Start-up: what a command costs before it does anything, and what its help costs.

    python tests/benchmarks/startup.py

Processor seconds of whole processes, which say more than the clock on a machine that is shared.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from timing import arguments, chart

TINY = Path(__file__).parents[1] / "networks" / "tiny.py"
SETUP = f"""
import numpy as np
from PIL import Image
from xmir_cli import main
for seed in range(3):
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 40), dtype=np.uint8)
    Image.fromarray(pixels).save(f"{{seed}}.png")
flags = ["--arch", "{TINY}:network", "--weights", "random:0", "--device", "cpu"]
main.execute(["embed", "0.png", "1.png", "2.png", *flags, "-o", "e.parquet"])
main.execute(["index", "e.parquet", "-o", "e.xmir"])
np.save("q.npy", np.ones(16, np.float32))
"""
XMIR = [sys.executable, "-m", "xmir_cli"]
PAIR = [
    "--query",
    "0.png",
    "--image",
    "1.png",
    "--arch",
    f"{TINY}:network",
    "--weights",
    "random:0",
]
COMMANDS: dict[str, Sequence[str]] = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "xmir --help": [*XMIR, "--help"],
    "xmir query --help": [*XMIR, "query", "--help"],
    "xmir saliency --help": [*XMIR, "saliency", "--help"],
    "xmir query --no-such-flag": [*XMIR, "query", "--no-such-flag"],
    "xmir index": [*XMIR, "index", "e.parquet", "-o", "e.xmir", "--force"],
    "xmir query --id": [*XMIR, "query", "--id", "0.png"],
    "xmir query --vector": [*XMIR, "query", "--vector", "q.npy"],
    "python -c 'import torch'": [sys.executable, "-c", "import torch"],
    "xmir query IMAGE": [*XMIR, "query", "0.png", "--device", "cpu"],
    "xmir saliency activation": [*XMIR, "saliency", *PAIR, "--method", "activation", "-f"],
    "xmir saliency occlusion": [*XMIR, "saliency", *PAIR, "--method", "occlusion", "-f"],
    "import torchvision": [sys.executable, "-c", "import torchvision"],
    "build densenet121": [
        *(sys.executable, "-c"),
        "from xmir_cli.model import architectures as a; a.build_architecture('densenet121')",
    ],
}


def seconds(command: Sequence[str], folder: str) -> float:
    """Processor seconds of a process, user and system."""
    before = os.times()
    done = subprocess.run(
        command, cwd=folder, capture_output=True, stdin=subprocess.DEVNULL, check=False
    )
    after = os.times()
    assert done.returncode == (2 if "--no-such-flag" in command else 0), done.stderr
    return (after.children_user - before.children_user) + (
        after.children_system - before.children_system
    )


def main() -> None:
    """Print the medians."""
    given = arguments(__doc__.split("\n")[0], 5)
    os.environ["XMIR_NETWORKS"] = str(TINY.parent)  # data alone do not make it run
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", SETUP], cwd=folder, capture_output=True, check=True)
        found: dict[str, list[float]] = {name: [] for name in COMMANDS}
        for _ in range(given.rounds):
            for name, command in COMMANDS.items():
                found[name].append(seconds(command, folder))
    for name, each in found.items():
        print(f"{name:28} {statistics.median(each):6.2f} s ({min(each):.2f} to {max(each):.2f})")
    if given.chart:
        chart(given.chart, "Start-up, processor seconds", found, "python -c 'import torch'")


if __name__ == "__main__":
    main()
