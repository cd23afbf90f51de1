"""ISIC 2017, part 3, as published to one table: path,id,label,split on standard output.

python labels.py DATA SEED      the test images are a balanced draw

Where part 1 lies beside them, the experts' outlines of the lesions, a column `mask` names them.
"""

import csv
import random
import sys
from pathlib import Path

SPLITS = {"train": "ISIC-2017_Training", "test": "ISIC-2017_Test_v2"}


def main() -> None:
    """Print the table."""
    data, seed = Path(sys.argv[1]).absolute(), sys.argv[2]
    table = csv.writer(sys.stdout, lineterminator="\n")
    outlined = any(masks_of(data, prefix).is_dir() for prefix in SPLITS.values())
    table.writerow(["path", "id", "label", "split", *(["mask"] if outlined else [])])
    for split, prefix in SPLITS.items():
        labels = read_labels(data / f"{prefix}_Part3_GroundTruth.csv")
        for name in sorted(balanced(labels, seed) if split == "test" else labels):
            path = data / f"{prefix}_Data" / f"{name}.jpg"
            mask = masks_of(data, prefix) / f"{name}_segmentation.png"
            known = [mask if mask.exists() else ""] if outlined else []
            table.writerow([path, name, labels[name], split, *known])


def masks_of(data: Path, prefix: str) -> Path:
    """Where part 1 has the masks of a split."""
    return data / f"{prefix}_Part1_GroundTruth"


def read_labels(source: Path) -> dict[str, str]:
    """The class of every image: melanoma, keratosis, or else nevus."""
    with source.open(newline="", encoding="utf-8") as file:
        return {row["image_id"]: label_of(row) for row in csv.DictReader(file)}


def label_of(row: dict[str, str]) -> str:
    """The one class that is marked 1."""
    if float(row["melanoma"]):
        return "melanoma"
    return "keratosis" if float(row["seborrheic_keratosis"]) else "nevus"


def balanced(labels: dict[str, str], seed: str) -> list[str]:
    """As many images of each class as the smallest has, drawn at random by `seed`."""
    classes: dict[str, list[str]] = {}
    for name in sorted(labels):
        classes.setdefault(labels[name], []).append(name)
    count = min(map(len, classes.values()))
    draw = random.Random(seed)  # noqa: S311 # no secret
    return [name for label in sorted(classes) for name in draw.sample(classes[label], count)]


if __name__ == "__main__":
    main()
