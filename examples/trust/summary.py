"""The rows of `run.py` as a table and a figure."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Record = dict[str, object]
QUESTIONS = ("right", "wrong query", "reset weights")
DRAWS = 2000  # of the bootstrap
CAPTION = "{n} maps a method, {seeds} seeds; chance of peak and energy {area:.3f}."
COLUMNS = (
    "method", "peak", "energy", "AUROC (range over seeds)", "over `center` (95 %)", "wrong query",
    "reset weights", "insertion over random, center", "deletion over random, center",
)  # fmt: skip


def summarize(rows: Sequence[Record], out: Path) -> None:
    """Write table.jsonl, table.md and figure.png."""
    table = [cell(list(group)) for group in groups(rows)]
    (out / "table.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in table))
    (out / "table.md").write_text(markdown(table))
    draw(table).save(out / "figure.png")
    print(markdown(table))


def groups(rows: Sequence[Record]) -> list[list[Record]]:
    """The rows of each network and method, all seeds together, in the order they came."""
    found: dict[tuple[object, object], list[Record]] = {}
    for row in rows:
        found.setdefault((row["network"], row["method"]), []).append(row)
    centers = {pair_of(row): row["auroc"] for row in rows if row["method"] == "center"
               and row.get("asked") == "right"}  # fmt: skip
    return [[{**row, "center": centers.get(pair_of(row))} for row in group]
            for group in found.values()]  # fmt: skip


def pair_of(row: Record) -> tuple[object, ...]:
    """What a map and the control's map of the same image share."""
    return row["network"], row["seed"], row.get("retrieved")


def cell(group: Sequence[Record]) -> Record:
    """The numbers of one network and method: means over maps, AUROC's range over seeds."""
    found: Record = {"network": group[0]["network"], "method": group[0]["method"]}
    scored = [row for row in group if "refused" not in row]
    if not scored:
        return found | {"refused": group[0]["refused"]}
    right = of(scored, "right")
    seeds = sorted({int(str(row["seed"])) for row in right})
    by_seed = [mean(row["auroc"] for row in right if row["seed"] == seed) for seed in seeds]
    found |= {"n": len(right), "seeds": len(seeds), "area": mean(row["area"] for row in right)}
    found |= {name: mean(row[name] for row in right) for name in ("peak", "energy", "auroc")}
    found |= {"auroc_low": min(by_seed), "auroc_high": max(by_seed)}
    for question in QUESTIONS[1:]:
        found["auroc_" + question.replace(" ", "_")] = mean(
            row["auroc"] for row in of(scored, question)
        )
    if all(row["center"] is not None for row in right):
        beyond = np.array([float(str(row["auroc"])) - float(str(row["center"])) for row in right])
        found |= {"over_center": interval(beyond)}
    for measure in ("insertion", "deletion"):
        for control in ("random", "center"):
            gains = np.array([row[f"{measure}_gain"][control] for row in right])
            found[f"{measure}_gain_{control}"] = interval(gains)
    return found


def of(rows: Sequence[Record], question: str) -> list[Record]:
    """The rows of one question."""
    return [row for row in rows if row["asked"] == question]


def mean(values: object) -> float:
    """The mean of numbers, NaN of none."""
    numbers = [float(value) for value in values]
    return float(np.mean(numbers)) if numbers else float("nan")


def interval(values: np.ndarray) -> dict[str, float]:
    """The mean of values, one a pair, and its 95 % bootstrap interval."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(DRAWS, len(values)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return {"mean": float(values.mean()), "low": float(low), "high": float(high)}


def markdown(table: Sequence[Record]) -> str:
    """The table of each network."""
    text = []
    for network in dict.fromkeys(str(each["network"]) for each in table):
        found = [each for each in table if each["network"] == network]
        counts = next(each for each in found if "n" in each)
        text += [
            f"### {network.replace('_', ' ')}",
            "",
            CAPTION.format(**counts),
            "",
            f"| {' | '.join(COLUMNS)} |",
            "|---" * len(COLUMNS) + "|",
            *(line(each) for each in found),
            "",
        ]
    return "\n".join(text)


def line(each: Record) -> str:
    """A method's row."""
    name = f"| {each['method']} "
    if "refused" in each:
        return f"{name}| refused: {each['refused']} | | | | | | | |"
    gains = [
        ", ".join(f"{each[f'{measure}_gain_{control}']['mean']:+.3f}"
                  for control in ("random", "center"))
        for measure in ("insertion", "deletion")
    ]  # fmt: skip
    over = each.get("over_center")
    beyond = f"{over['mean']:+.2f} ({over['low']:+.2f} to {over['high']:+.2f})" if over else ""
    return (
        f"{name}| {each['peak']:.2f} | {each['energy']:.2f} "
        f"| {each['auroc']:.2f} ({each['auroc_low']:.2f}-{each['auroc_high']:.2f}) | {beyond} "
        f"| {each['auroc_wrong_query']:.2f} | {each['auroc_reset_weights']:.2f} "
        f"| {gains[0]} | {gains[1]} |"
    )


# the figure: a column a network, a row a method, a mark a question

LEFT, COLUMN, ROW, TOP, BOTTOM = 190, 210, 30, 76, 60  # pixels
PLOT = 170  # pixels from AUROC 0 to 1
INK, PALE, BLUE, RED = "#222222", "#d0d0d0", "#0072b2", "#d55e00"


def draw(table: Sequence[Record]) -> Image.Image:
    """AUROC of the three questions, for every network and method."""
    networks = list(dict.fromkeys(str(each["network"]) for each in table))
    methods = list(dict.fromkeys(str(each["method"]) for each in table))
    size = (LEFT + COLUMN * len(networks) + 10, TOP + ROW * len(methods) + BOTTOM)
    picture = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(14)
    legend(pen, font)
    for row, method in enumerate(methods):
        pen.text((LEFT - 12, middle(row)), method, INK, font, anchor="rm")
    for column, network in enumerate(networks):
        left = LEFT + COLUMN * column
        pen.text((left + PLOT / 2, TOP - 16), network.replace("_", " "), INK, font, anchor="mm")
        bottom = TOP + ROW * len(methods)
        for value in (0, 0.5, 1):
            x = left + value * PLOT
            pen.line([x, TOP, x, bottom], PALE, 1)
            pen.text((x, bottom + 12), f"{value:g}", INK, font, anchor="mm")
        cells = {str(each["method"]): each for each in table if each["network"] == network}
        for row, method in enumerate(methods):
            marks(pen, font, left, middle(row), cells.get(method))
    pen.text((LEFT, size[1] - 18), "AUROC of the pixels of the opacity", INK, font, anchor="lm")
    return picture


def middle(row: int) -> int:
    """The height of a row's middle."""
    return TOP + ROW * row + ROW // 2


def legend(pen: ImageDraw.ImageDraw, font: ImageFont.ImageFont) -> None:
    """What the three marks are."""
    x = float(LEFT)
    for mark, name in zip((disc, ring, cross), QUESTIONS, strict=True):
        mark(pen, x + 6, 24)
        pen.text((x + 18, 24), "right query" if name == "right" else name, INK, font, anchor="lm")
        x += 150


def marks(
    pen: ImageDraw.ImageDraw, font: ImageFont.ImageFont, left: int, y: int, each: Record | None
) -> None:
    """One method on one network: a line from the lowest to the highest seed, and three marks."""
    if each is None:
        return
    if "refused" in each:
        pen.text((left + PLOT / 2, y), "refused", "#888888", font, anchor="mm")
        return
    place: Callable[[str], float] = lambda name: left + PLOT * float(str(each[name]))  # noqa: E731
    pen.line([place("auroc_low"), y, place("auroc_high"), y], BLUE, 3)
    cross(pen, place("auroc_reset_weights"), y)
    ring(pen, place("auroc_wrong_query"), y)
    disc(pen, place("auroc"), y)


def disc(pen: ImageDraw.ImageDraw, x: float, y: float) -> None:
    """The right query."""
    pen.ellipse([x - 5, y - 5, x + 5, y + 5], BLUE)


def ring(pen: ImageDraw.ImageDraw, x: float, y: float) -> None:
    """A wrong query."""
    pen.ellipse([x - 5, y - 5, x + 5, y + 5], outline=RED, width=2)


def cross(pen: ImageDraw.ImageDraw, x: float, y: float) -> None:
    """Reset weights."""
    pen.line([x - 5, y - 5, x + 5, y + 5], INK, 2)
    pen.line([x - 5, y + 5, x + 5, y - 5], INK, 2)
