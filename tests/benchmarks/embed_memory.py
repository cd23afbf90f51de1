"""How the memory of `xmir embed` grows with the images: hard links of one tiny picture.

    python tests/benchmarks/embed_memory.py [COUNT ...]        2000 20000 200000 where none is given

The network is that of the tests with a head of 1024 numbers, so that a row is 4 kB. Each count is a
process of its own; told is its peak as the system gives it.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

_LINKS = 50_000  # of one file: some disks know no more
NETWORK = Path(__file__).parents[1] / "networks" / "tiny.py"
MODEL = ("--arch", f"{NETWORK}:network", "--weights", "random:0", "--head", "1024")


def link_pictures(folder: Path, count: int) -> None:
    """So many names of a picture of 8 x 8 pixels, a thousand a folder."""
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    picture = Path()
    for number in range(count):
        place = folder / f"{number // 1000:06}" / f"{number:09}.png"
        place.parent.mkdir(exist_ok=True)
        if number % _LINKS == 0:
            picture = place
            Image.fromarray(pixels).save(picture)
        else:
            place.hardlink_to(picture)


def peak_of(count: int) -> int:
    """The most bytes that the command has at a time."""
    with tempfile.TemporaryDirectory() as place:
        images = Path(place, "images")
        images.mkdir()
        link_pictures(images, count)
        command = [sys.executable, "-m", "xmir_cli", "embed", str(images), *MODEL]
        output = ["--device", "cpu", "-o", str(Path(place, "a.parquet"))]
        process = subprocess.Popen([*command, *output], stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"embed ended with {os.waitstatus_to_exitcode(status)}")
        return used.ru_maxrss * 1024


def main() -> None:
    """A line for each count, with the growth since the one before."""
    counts = [int(each) for each in sys.argv[1:]] or [2_000, 20_000, 200_000]
    before: tuple[int, int] | None = None
    for count in counts:
        peak = peak_of(count)
        growth = ""
        if before is not None:
            growth = f", {(peak - before[1]) / (count - before[0]):,.0f} bytes an image more"
        print(f"{count:,} images: {peak / 1e6:,.0f} MB{growth}", flush=True)
        before = count, peak


if __name__ == "__main__":
    main()
