"""The rows of `run.py`, a map each, as a table of networks and methods."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from figure import draw
from job import Record

DRAWS = 2000  # of the bootstrap
OTHERS = ("wrong query", "reset weights")
TRUTH = ("peak", "energy", "AUROC (seeds)", "over `center` (95 %)", *OTHERS)
LIKE = tuple(f"like the right map: {name}" for name in OTHERS)
CAUSAL = tuple(
    f"{measure} over {control}"
    for measure in ("insertion", "deletion")
    for control in ("random", "center")
)


def summarize(rows: Sequence[Record], retrieval: Mapping[str, list[float]], out: Path) -> None:
    """Write table.jsonl, table.md and, where masks are known, figure.png; print the table.

    `retrieval` has the mAP of each network, a seed each.
    """
    table = [cell(group) for group in groups(rows)]
    text = markdown(table, retrieval)
    (out / "table.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in table))
    (out / "table.md").write_text(text)
    if any("auroc" in each for each in table):
        draw(table).save(out / "figure.png")
    print(text, end="")


def groups(rows: Sequence[Record]) -> list[list[Record]]:
    """The rows of each network and method, all seeds together, in the order they came.

    Each has the AUROC of the control `center` on its image, where there is one.
    """
    centers = {
        _image(row): row.get("auroc")
        for row in rows
        if row["variant"] == "center" and row.get("question") == "right"
    }
    found: dict[tuple[object, object], list[Record]] = {}
    for row in rows:
        group = found.setdefault((row["network"], row["variant"]), [])
        group.append({**row, "center": centers.get(_image(row))})
    return list(found.values())


def _image(row: Record) -> tuple[object, ...]:
    return row["network"], row["seed"], Path(str(row.get("retrieved"))).name


def cell(group: Sequence[Record]) -> Record:
    """The numbers of one network and method: means over maps, AUROC's range over seeds."""
    found: Record = {"network": group[0]["network"], "method": group[0]["variant"]}
    scored = [row for row in group if "refused" not in row]
    if not scored:
        return found | {"refused": group[0]["refused"]}
    right = _of(scored, "right")
    seeds = sorted({int(str(row["seed"])) for row in right})
    found |= {"n": len(right), "seeds": len(seeds)}
    if "auroc" in right[0]:
        found |= {name: _mean(right, name) for name in ("area", "peak", "energy", "auroc")}
        by_seed = [_mean([row for row in right if row["seed"] == seed], "auroc") for seed in seeds]
        found |= {"auroc_low": min(by_seed), "auroc_high": max(by_seed)}
        found |= {f"auroc {name}": _mean(_of(scored, name), "auroc") for name in OTHERS}
    if right[0]["center"] is not None:
        found["over_center"] = interval(_number(row, "auroc") - _number(row, "center")
                                        for row in right)  # fmt: skip
    found |= {f"like {name}": _mean(_of(scored, name), "like_right") for name in OTHERS}
    for name in CAUSAL:
        measure, control = name.split(" over ")
        found[name] = interval(row[f"{measure}_gain"][control] for row in right)
    return found


def _of(rows: Sequence[Record], question: str) -> list[Record]:
    return [row for row in rows if row["question"] == question]


def _number(row: Record, name: str) -> float:
    return float(str(row[name]))


def _mean(rows: Sequence[Record], name: str) -> float | None:
    """The mean of a number over rows; None where no row has it."""
    known = [_number(row, name) for row in rows if row[name] is not None]
    return float(np.mean(known)) if known else None


def interval(numbers: Iterable[float]) -> dict[str, float]:
    """The mean of numbers, one a pair, and its 95 % bootstrap interval over pairs."""
    values, rng = np.array(list(numbers)), np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(DRAWS, len(values)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return {"mean": float(values.mean()), "low": float(low), "high": float(high)}


def markdown(table: Sequence[Record], retrieval: Mapping[str, list[float]]) -> str:
    """The table of each network."""
    text = []
    for network in dict.fromkeys(str(each["network"]) for each in table):
        found = [each for each in table if each["network"] == network]
        one = next((each for each in found if "n" in each), {"n": 0, "seeds": 0})
        known = ", ".join(f"{value:.2f}" for value in retrieval[network])
        said = f"{one['n']} maps a method, {one['seeds']} seeds; mAP {known}"
        if "area" in one:
            said += f"; chance of peak and energy {one['area']:.3f}"
        columns = ("method", *(TRUTH if "area" in one else LIKE), *CAUSAL)
        text += [f"### {network.replace('_', ' ')}", "", f"{said}.", ""]
        text += [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
        text += [_line(each, len(columns)) for each in found]
        text += [""]
    return "\n".join(text)


def _line(each: Record, columns: int) -> str:
    """A method's row."""
    if "refused" in each:
        return f"| {each['method']} | refused: {each['refused']} " + "| " * (columns - 2) + "|"
    return f"| {' | '.join([str(each['method']), *_cells(each)])} |"


def _cells(each: Record) -> list[str]:
    gains = [_short(each[name]) for name in CAUSAL]
    if "area" not in each:
        like = [each[f"like {name}"] for name in OTHERS]
        return [*("" if value is None else f"{value:.2f}" for value in like), *gains]
    first = [f"{each[name]:.2f}" for name in ("peak", "energy")]
    seeds = f"{each['auroc']:.2f} ({each['auroc_low']:.2f} to {each['auroc_high']:.2f})"
    over = _short(each["over_center"], 2) if "over_center" in each else ""
    others = [f"{each[f'auroc {name}']:.2f}" for name in OTHERS]
    return [*first, seeds, over, *others, *gains]


def _short(found: dict[str, float], digits: int = 3) -> str:
    """A mean and its interval."""
    mean, low, high = (f"{found[name]:+.{digits}f}" for name in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"
