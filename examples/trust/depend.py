"""Do the maps depend on the query, on the weights and on nothing else? A table for hits of yours.

    xmir query --all --index cxr.xmir --top 3 --exclude-same patient > hits.jsonl
    python examples/trust/depend.py OUT hits.jsonl
    python examples/trust/depend.py OUT hits.jsonl --against run2.safetensors

Pairs of one label are chosen from the hits, each retrieved image once, labels in turn, and every
method is asked the questions of `xmir sanity-check`; then its maps are scored by `xmir
causal-metric` beside controls at their own scale. OUT/depend.md and OUT/depend.jsonl are the
results. What is there already is not made again.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

from job import Record, read, say, write  # noqa: E402 # these are beside this file
from methods import Variant  # noqa: E402

from xmir_cli.errors import XmirError  # noqa: E402
from xmir_cli.stories import causal_metric, saliency, sanity_check  # noqa: E402

CONTROLS = ("shuffled", "other-pair", "blurred", "center")
TESTS = {  # the number that each verdict rests on
    "query": "spearman",
    "model": "spearman",
    "repeat": "spearman",
    "reproduce": "spearman",
    "noise": "change_max",
}


def variants(side: int, masks: int) -> dict[str, Variant]:
    """The methods; windows are a fifth of the side."""
    windows = {"window_size": str(side // 5), "stride": str(side // 10)}
    return {
        "activation": Variant("activation"),
        "activation --center": Variant("activation", center=True),
        "attention": Variant("attention"),
        "gradcam": Variant("gradcam"),
        "integrated-gradients": Variant("integrated-gradients", {"path_steps": "8"}),
        "occlusion": Variant("occlusion", windows),
        "occlusion --fill black": Variant("occlusion", windows | {"fill": "black"}),
        "rise": Variant("rise", {"masks": str(masks)}),
        "rollout": Variant("rollout"),
        "edges": Variant("edges"),
        "center": Variant("center"),
        "random": Variant("random"),
    }


def choose(hits: Sequence[Record], count: int) -> list[Record]:
    """Pairs of one label, the best first, each retrieved image once, labels in turn."""
    turns: dict[object, int] = {}
    used: set[object] = set()
    found = []
    for hit in hits:
        if hit["match"] and hit["query"] != hit["retrieved"] and hit["retrieved"] not in used:
            used.add(hit["retrieved"])
            turns[hit["query_label"]] = turn = turns.get(hit["query_label"], 0) + 1
            found.append((turn, hit))
    return [hit for _, hit in sorted(found, key=lambda each: each[0])][:count]


def run(asked: argparse.Namespace) -> None:
    """The rows of all methods, or what is left of them."""
    pairs = choose(read(asked.hits), asked.pairs)
    file = asked.out / "pairs.jsonl"
    write(file, pairs)
    model = pairs[0]["model"]
    assert isinstance(model, dict)
    rows: list[Record] = []
    found = variants(model["preprocessing"]["input_size"], asked.masks)
    for name, variant in found.items():
        if asked.methods and name not in asked.methods:
            continue
        done = asked.out / f"{name.replace(' ', '')}.jsonl"
        if not done.exists():
            say(name)
            write(done, [_row(asked, file, name, variant)])
        rows += read(done)
    write(asked.out / "depend.jsonl", rows)
    text = markdown(rows, len(pairs))
    (asked.out / "depend.md").write_text(text, encoding="utf-8")
    print(text, end="")


def _row(asked: argparse.Namespace, pairs: Path, name: str, variant: Variant) -> Record:
    """What is found of a method, or why it has no map."""
    tests = "query,model,noise" + (",repeat" if asked.against else "")
    try:
        checked = [each for each in sanity_check.run(sanity_check.SanityCheck(
            records=str(pairs), method=variant.method, settings=variant.settings, test=tests,
            center=variant.center, against=asked.against, mode="full", draws=asked.draws,
        )) if each["verdict"]]  # fmt: skip
        maps = pairs.with_name(f"{name.replace(' ', '')}-maps.jsonl")
        write(maps, saliency.run(saliency.Saliency(
            records=str(pairs), method=variant.method, settings=variant.settings,
            center=variant.center, output=pairs.with_name("maps"), overlay=False,
        )))  # fmt: skip
    except XmirError as error:
        return {"method": name, "refused": str(error)}
    row: Record = {"method": name}
    for each in checked:
        test = str(each["test"])
        row[test] = {"value": each[TESTS[test]], "verdict": each["verdict"]}
    for substrate in asked.substrates:
        (summary,) = causal_metric.run(causal_metric.CausalMetric(
            records=str(maps), control=",".join(CONTROLS), summary=True,
            curve_steps=asked.curve_steps, substrate=substrate,
        ))  # fmt: skip
        row[substrate] = summary
    return row


def markdown(rows: Sequence[Record], pairs: int) -> str:
    """The table; bold is a fail, or a gain whose interval is above 0."""
    tests = [name for name in TESTS if any(name in row for row in rows)]
    columns = list(_gains(rows))
    head = ["method", *tests, *(name for name, *_ in columns)]
    lines = [f"{pairs} pairs", "", _line(head), _line(["---"] * len(head))]
    for row in rows:
        if "refused" in row:
            lines.append(_line([f"`{row['method']}`", "refused", *[""] * (len(head) - 2)]))
            continue
        cells = [_verdict(row.get(name)) for name in tests]
        cells += [_gain(row[substrate], key, control) for _, substrate, key, control in columns]
        lines.append(_line([f"`{row['method']}`", *cells]))
    return "\n".join([*lines, ""])


def _gains(rows: Sequence[Record]) -> Iterator[tuple[str, str, str, str]]:
    """The title of each column of gains, with the substrate, the key and the control."""
    for measure in ("insertion", "deletion"):
        for control in CONTROLS:
            yield f"{measure} over {control}", "gray", f"{measure}_gain", control
    if any("road" in row for row in rows):
        for control in CONTROLS:
            yield f"ROAD over {control}", "road", "deletion_gain", control


def _verdict(found: object) -> str:
    if not isinstance(found, Mapping) or found["value"] is None:
        return "-"
    text = f"{found['value']:.2f}"
    return f"**{text}**" if found["verdict"] == "fail" else text


def _gain(summary: object, key: str, control: str) -> str:
    assert isinstance(summary, Mapping)
    value, low = summary[key][control], summary[f"{key}_low"][control]
    text = f"{value:+.3f}"
    return f"**{text}**" if low > 0 else text


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    first, rest = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=first, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder for all results")
    parser.add_argument("hits", type=Path, metavar="HITS", help="records of xmir query")
    parser.add_argument("--against", metavar="FILE", help="another network of the task")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="some of them")
    whole = {"type": int, "metavar": "N"}
    parser.add_argument("--pairs", **whole, default=24)
    parser.add_argument("--masks", **whole, default=100, help="of rise")
    parser.add_argument("--draws", **whole, default=5, help="of noise")
    parser.add_argument("--curve-steps", **whole, default=28, help="of insertion and deletion")
    parser.add_argument("--substrates", nargs="+", default=["gray"], help="gray first; road")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    os.environ.setdefault("XMIR_NETWORKS", str(HERE))  # networks.py is code, that records may name
    asked = _parse(arguments)
    asked.out = asked.out.absolute()
    asked.out.mkdir(parents=True, exist_ok=True)
    run(asked)


if __name__ == "__main__":
    main()
