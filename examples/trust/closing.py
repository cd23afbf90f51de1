"""The two steps of `closing.sh` that no command does: pairs out of hits, a table out of summaries.

python closing.py --pairs COUNT HITS     records of the pairs to explain
python closing.py FOLDER...              the table of each folder, in Markdown
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

from depend import choose  # noqa: E402 # these are beside this file
from job import Record, read  # noqa: E402

WAYS = {"plain": "", "center": " --center", "black": " --fill black"}
HEAD = (
    "method",
    "insertion",
    "deletion",
    "insertion over `center`",
    "deletion over `center`",
    "hit",
    "energy",
    "AUROC",
    "query",
    "model",
)


def table(folder: Path) -> str:
    """A folder's table: means with 95 % intervals, and how like the right map other maps are."""
    about, folder = folder.name.replace("_", " "), folder / "closing"
    truth = {name_of(each): each for each in read_if(folder / "truth.jsonl")}
    asked = dict(tests(folder))
    scored = read(folder / "causal.jsonl")
    most = max(int(str(each["n"])) for each in scored)
    rows = [row(each, truth.get(name_of(each)), asked, most) for each in scored]
    (retrieval,) = read(folder / "retrieval.jsonl")
    said = f"{most} pairs; mAP {number(retrieval['map'])}"
    if truth:
        one = next(iter(truth.values()))
        said += f"; chance of hit and energy {number(one['energy_chance'])}"
    lines = [f"### {about}", "", f"{said}.", "", line(HEAD)]
    return "\n".join([*lines, line(["---"] * len(HEAD)), *map(line, rows), ""])


def name_of(each: Mapping[str, object]) -> str:
    """What a row is called: the method, and the way it was asked."""
    settings = each["settings"]
    assert isinstance(settings, Mapping)
    way = "center" if settings.get("center") else settings.get("fill", "plain")
    return str(each["method"]) + WAYS.get(str(way), "")


def tests(folder: Path) -> Iterator[tuple[tuple[str, str], Record]]:
    """Verdicts by name and test; of a file it is known how its methods were asked."""
    for way, flags in WAYS.items():
        for each in read(folder / f"sanity-{way}.jsonl"):
            if each["verdict"]:
                yield (f"{each['method']}{flags}", str(each["test"])), each


def row(
    scored: Record, truth: Record | None, asked: Mapping[tuple[str, str], Record], most: int
) -> list[str]:
    """The cells of a method; how many maps it has where it refused some of the pairs."""
    name = name_of(scored)
    shown = f"`{name}`" if scored["n"] == most else f"`{name}`, {scored['n']} maps"
    cells = [shown, spread(scored, "insertion"), spread(scored, "deletion")]
    cells += [spread(scored, f"{each}_gain", "center") for each in ("insertion", "deletion")]
    cells += [spread(truth, each) if truth else "" for each in ("hit", "energy", "auroc")]
    return [*cells, *(verdict(asked.get((name, each))) for each in ("query", "model"))]


def spread(found: Record, key: str, control: str | None = None) -> str:
    """A mean and its interval; a gain is bold where the interval is above 0."""
    values = [found[f"{key}{end}"] for end in ("", "_low", "_high")]
    if control is None:
        mean, low, high = map(number, values)
        return f"{mean} ({low}, {high})"
    gains = [float(str(value[control])) for value in values if isinstance(value, Mapping)]
    mean, low, high = (f"{value:+.3f}".replace("0.", ".") for value in gains)
    return f"**{mean}** ({low}, {high})" if gains[1] > 0 else f"{mean} ({low}, {high})"


def verdict(found: Record | None) -> str:
    """The number that a verdict rests on, bold where it is a fail."""
    if found is None or found["spearman"] is None:
        return "-"
    text = number(found["spearman"])
    return f"**{text}**" if found["verdict"] == "fail" else text


def number(value: object) -> str:
    """Two digits, without the zero before the point."""
    text = f"{float(str(value)):.2f}"
    return text.replace("0.", ".", 1) if abs(float(text)) < 1 else text


def line(cells: Sequence[str]) -> str:
    """A line of the table."""
    return f"| {' | '.join(cells)} |"


def read_if(file: Path) -> list[Record]:
    """The records of a file; none where it is not there."""
    return read(file) if file.exists() else []


def main(arguments: Sequence[str]) -> None:
    """Run from the command line."""
    if arguments[0] == "--pairs":
        found = choose(read(Path(arguments[2])), int(arguments[1]))
        sys.stdout.writelines(f"{json.dumps(pair)}\n" for pair in found)
    else:
        print("\n".join(table(Path(folder)) for folder in arguments), end="")


if __name__ == "__main__":
    main(sys.argv[1:])
