"""Test `query`: do the maps change when another image asks?

The retrieved image stays; the query is drawn among the images of the records that share no label
with it, or, of a query without a label, among all others.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from xmir_cli.causes import Cause
from xmir_cli.console import Skips
from xmir_cli.errors import DataError, ItemError
from xmir_cli.labels import parse_labels, share_label
from xmir_cli.metrics.sanity import agreement
from xmir_cli.scoring.sanity.check import Check, summarize, tell_seeds
from xmir_cli.scoring.sanity.pairs import Inputs, Known, Pair
from xmir_cli.wire.records import Record

LABEL, IMAGE = "another label", "another image"  # what the other query is known to be


def replace_queries(check: Check, seeds: Sequence[int], skips: Skips) -> Iterator[Record]:
    """A record a method; a pair for which no other query is there goes to `skips`.

    Raises DataError when there is none for any pair.
    """
    choices = {pair: find_others(check.inputs, pair) for pair in check.inputs.pairs}
    for pair, others in choices.items():
        if not others:
            wanted = (
                "another image" if _is_bare(check.inputs, pair) else "an image of another label"
            )
            skips.add(check.inputs.pairs[pair], ItemError(Cause.NO_CONTRAST, _none(wanted)))
    kept = [place for place, others in enumerate(choices.values()) if others]
    if not kept:
        raise DataError(
            "the records have no image that could ask in place of a query",
            "Pipe in hits of queries of two labels or more.",
        )
    drawn = [pair for seed in seeds for pair in _draw(choices, seed)]
    labelled = all(not _is_bare(check.inputs, pair) for pair in choices)
    for name, method in check.methods.items():
        before = [check.before[name][place] for place in kept] * len(seeds)
        found = list(map(agreement, before, check.mapper.map(method, drawn)))
        told = {"other_query": LABEL if labelled else IMAGE}
        record = check.record(name, "query", {**told, **summarize(found), **tell_seeds(seeds)})
        yield from check.by_query(record, found, kept)
        check.advance()


def find_others(inputs: Inputs, pair: Pair) -> list[str]:
    """The images that may ask in place of the pair's query, sorted by what they are.

    Neither of the pair's own images is among them, under whatever name, and no other one of their
    patients.
    """
    own = {inputs.images[path].identity for path in pair}
    patients = {inputs.about[path].patient for path in pair} - {None}
    asked = inputs.about[pair[0]]
    found = {
        image.identity: path
        for path, image in inputs.images.items()
        if image.identity not in own
        and inputs.about[path].patient not in patients
        and _is_other(asked, inputs.about[path])
    }
    return [found[identity] for identity in sorted(found)]


def _is_other(asked: Known, other: Known) -> bool:
    return not parse_labels(asked.label) or share_label(asked.label, other.label) is False


def _is_bare(inputs: Inputs, pair: Pair) -> bool:
    """Whether the pair's query has no label."""
    return not parse_labels(inputs.about[pair[0]].label)


def _none(wanted: str) -> str:
    return f"the records have no {wanted.removeprefix('an ')} to ask in place of the query"


def _draw(choices: dict[Pair, list[str]], seed: int) -> list[Pair]:
    random = np.random.default_rng(seed)
    return [
        (others[random.integers(len(others))], retrieved)
        for (_, retrieved), others in choices.items()
        if others
    ]
