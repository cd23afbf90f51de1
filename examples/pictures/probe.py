"""A small page of phantoms with made-up maps: it changes when what the README shows would change.

python examples/pictures/probe.py FILE.png
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from xmir_cli.stories.montage import Montage, run

EXAMPLES = Path(__file__).resolve().parent.parent
SIZE = 64  # pixels of a phantom


def draw(output: Path, folder: Path) -> None:
    """Draw the page; phantoms and maps go into the folder."""
    sys.path.insert(0, str(EXAMPLES))
    from phantoms import phantom, plan  # noqa: PLC0415 # the folder is no package

    rows = plan(9, seed=0)[:3]
    for row in rows:
        phantom(row, SIZE, seed=0)[0].save(folder / row.name)
    names = [row.name for row in rows]
    records = folder / "records.jsonl"
    records.write_text("".join(json.dumps(each) + "\n" for each in _records(folder, names)))
    for _ in run(Montage(records=str(records), output=output, side=SIZE, force=True)):
        pass


def _records(folder: Path, names: list[str]) -> Iterator[dict[str, object]]:
    """The first phantom asks; a map of one sign and one of both for each of the others."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    for rank, name in enumerate(names[1:], start=1):
        blob = np.exp(-30 * ((x - 0.2 - 0.2 * rank) ** 2 + (y - 0.5) ** 2))
        for method, saliency in (("occlusion", blob), ("activation", blob - blob[:, ::-1] / 2)):
            path = folder / f"{method}-{rank}.npy"
            np.save(path, saliency.astype(np.float32))
            yield {
                "query": str(folder / names[0]), "retrieved": str(folder / name), "rank": rank,
                "similarity": 1 - rank / 10, "match": rank == 1, "method": method,
                "saliency": str(path), "roi": [4, 4, SIZE - 8, SIZE - 8],
            }  # fmt: skip


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        draw(Path(sys.argv[1]), Path(made))
