"""Draw a data set of synthetic skin pictures in colour, whose lesions are known to the pixel.

    python examples/trust/skin.py OUT --count 300 --size 128 --seed 0

Three classes: `nevus` (round, one brown), `melanoma` (ragged, several browns and a blue veil) and
`keratosis` (pale brown, sharp, with bright dots). Skin tone, light, hairs, the microscope's dark
corners, place, size and turn of the lesion vary and know nothing of the class. The same seed gives
the same bytes.

OUT/images/*.png, OUT/masks/*.png (255 = lesion) and OUT/labels.csv: path,label,patient,split,mask.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]

from phantoms import Row, clouds, edge, plan  # noqa: E402 # beside this folder

CLASSES = ("nevus", "melanoma", "keratosis")
Field = NDArray[np.float64]  # [H, W], of colours [H, W, 3]


def skin(size: int, rng: Generator) -> Field:
    """Bare skin: its tone, pores and uneven light; 0 to 1."""
    y, x = np.mgrid[0:size, 0:size] * 2 / (size - 1) - 1
    tone = np.array([0.90, 0.70, 0.60]) * rng.uniform(0.80, 1.05)
    light = 1 + 0.06 * (x * rng.normal() + y * rng.normal()) + 0.02 * clouds(size, 8, rng)
    pores = 0.015 * clouds(size, size // 3, rng)
    return tone * (light + pores)[:, :, None]


def lesion(label: str, size: int, rng: Generator) -> tuple[Field, Field]:
    """How much of a lesion is where [H, W], and its colours."""
    y, x = np.mgrid[0:size, 0:size] * 2 / (size - 1) - 1
    right, down = rng.uniform(-0.45, 0.45, size=2)
    radius, stretch = rng.uniform(0.24, 0.36), rng.uniform(0.85, 1.15)
    away = np.hypot((x - right) * stretch, (y - down) / stretch) / radius
    brown = np.array([0.42, 0.26, 0.18]) * rng.uniform(0.9, 1.15)
    if label == "nevus":
        return edge(1 - away + 0.03 * clouds(size, 8, rng), 0.05), np.ones((size, size, 1)) * brown
    if label == "melanoma":
        shape = edge(1 - away + 0.20 * clouds(size, 14, rng), 0.05)
        patches = edge(clouds(size, 16, rng), 0.25)[:, :, None]
        veil = edge(clouds(size, 12, rng) - 0.8, 0.2)[:, :, None]
        colours = brown * 0.55 * patches + brown * 1.1 * (1 - patches)
        return shape, colours * (1 - veil) + np.array([0.42, 0.46, 0.58]) * veil
    dots = edge(clouds(size, 24, rng) - 1.3, 0.1)[:, :, None]
    colours = np.array([0.62, 0.46, 0.32]) * (1 - dots) + np.array([0.95, 0.92, 0.80]) * dots
    return edge(1 - away + 0.06 * clouds(size, 10, rng), 0.015), colours


def hairs(size: int, rng: Generator) -> Field:
    """0 where a hair lies, else 1."""
    canvas = Image.new("L", (4 * size, 4 * size), 255)
    pen = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(0, 6)):
        start, heading = rng.uniform(0, 4 * size, size=2), rng.uniform(0, 2 * np.pi)
        steps = heading + np.cumsum(rng.normal(0, 0.08, size=12))
        points = start + np.cumsum(np.stack([np.cos(steps), np.sin(steps)], 1), 0) * size * 0.3
        pen.line([tuple(point) for point in points.tolist()], fill=60, width=max(2, size // 32))
    return np.asarray(canvas.resize((size, size), Image.Resampling.BOX)) / 255


def picture(row: Row, size: int, seed: int) -> tuple[Image.Image, Image.Image]:
    """The picture of a row, mode RGB, and the mask of its lesion, mode L."""
    # one stream a purpose, so that no nuisance depends on what the class has drawn before it
    bare, disease, over = (
        np.random.default_rng((seed, 3, row.patient, row.view, purpose)) for purpose in range(3)
    )
    share, colours = lesion(row.label, size, disease)
    y, x = np.mgrid[0:size, 0:size] * 2 / (size - 1) - 1
    seen = skin(size, bare) * (1 - share[:, :, None]) + colours * share[:, :, None]
    seen = seen * (0.35 + 0.65 * hairs(size, over))[:, :, None]
    if over.random() < 0.4:  # the round view of a dermatoscope
        seen = seen * edge(over.uniform(1.05, 1.25) - np.hypot(x, y), 0.03)[:, :, None]
    seen = seen + 0.015 * over.normal(size=seen.shape)
    image = Image.fromarray((seen.clip(0, 1) * 255).round().astype(np.uint8))
    return image, Image.fromarray(np.where(share > 0.5, 255, 0).astype(np.uint8))


def write(folder: Path, count: int, size: int, seed: int) -> int:
    """Draw the data set into `folder`; returns the number of pictures."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rows = plan(count, seed, CLASSES)
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["path", "label", "patient", "split", "mask"])
        for row in rows:
            for name, image in zip(("images", "masks"), picture(row, size, seed), strict=True):
                image.save(folder / name / row.name)
            paths = f"images/{row.name}", f"masks/{row.name}"
            table.writerow([paths[0], row.label, f"p{row.patient:04d}", row.split, paths[1]])
    return len(rows)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Draw synthetic skin with known lesions.")
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder to write")
    parser.add_argument("--count", type=int, default=300, help="pictures, as many of each class")
    parser.add_argument("--size", type=int, default=128, help="pixels a side")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print(f"{write(asked.out, asked.count, asked.size, asked.seed)} pictures in {asked.out}")


if __name__ == "__main__":
    main()
