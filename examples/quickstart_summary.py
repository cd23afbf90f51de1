"""Sums up a quickstart run: retrieval, insertion and deletion by method, and where the maps peak.

python quickstart_summary.py RETRIEVAL.jsonl CAUSAL.jsonl DATA
"""

import csv
import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image


def peak_is_in_opacity(record: dict, masks: dict[str, Path]) -> bool | None:
    """Whether the map's highest pixel lies on the true opacity; None for an image without one."""
    mask = np.asarray(Image.open(masks[Path(record["retrieved"]).name]).convert("L")) > 0
    if not mask.any():
        return None
    saliency = np.load(record["saliency"], allow_pickle=False)
    row, column = np.unravel_index(saliency.argmax(), saliency.shape)
    left, top, width, height = record["roi"]
    x = int(left + (column + 0.5) / saliency.shape[1] * width)
    y = int(top + (row + 0.5) / saliency.shape[0] * height)
    return bool(mask[y, x])


def opacity_share(masks: dict[str, Path], records: list[dict]) -> float:
    """The share of the picture that the opacities cover: what a blind guess would hit."""
    names = {Path(record["retrieved"]).name for record in records}
    covers = [(np.asarray(Image.open(masks[name]).convert("L")) > 0).mean() for name in names]
    return float(np.mean([cover for cover in covers if cover > 0]))


def main() -> None:
    """Print the summary."""
    retrieval_file, causal_file, data = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    retrieval = json.loads(Path(retrieval_file).read_text().splitlines()[0])
    records = [json.loads(line) for line in Path(causal_file).read_text().splitlines()]
    with (data / "labels.csv").open() as file:
        masks = {Path(row["path"]).name: data / row["mask"] for row in csv.DictReader(file)}
    by_method = defaultdict(list)
    for record in records:
        by_method[record["method"]].append(record)

    print("\nRetrieval on the test split, leave-one-out, same patient left out")
    print("  mAP {map:.3f}   P@1 {p_at_1:.3f}   P@5 {p_at_5:.3f}".format(**retrieval))
    print("\nSaliency: insertion AUC (higher is better), deletion AUC (lower is better),")
    print("and the share of maps that peak inside the true opacity")
    print(f"  {'method':12} {'n':>4} {'insertion':>10} {'deletion':>10} {'peak in opacity':>16}")
    for method, rows in by_method.items():
        peaks = [hit for row in rows if (hit := peak_is_in_opacity(row, masks)) is not None]
        insertion = np.mean([row["insertion"] for row in rows])
        deletion = np.mean([row["deletion"] for row in rows])
        print(
            f"  {method:12} {len(rows):4} {insertion:10.3f} {deletion:10.3f} {np.mean(peaks):15.0%}"
        )
    print(f"  (opacities cover {opacity_share(masks, records):.0%} of these pictures)")


if __name__ == "__main__":
    main()
