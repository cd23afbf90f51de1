"""The numbers of an evaluation as a record."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from xmir_cli.arrays import Integers
from xmir_cli.errors import DataError
from xmir_cli.metrics.everybody import Everybody
from xmir_cli.metrics.intervals import Interval, intervals
from xmir_cli.metrics.retrieval import NEAR_DUPLICATE, Evaluation
from xmir_cli.metrics.scores import Scores
from xmir_cli.metrics.summary import RESAMPLES
from xmir_cli.wire.records import Record


@dataclass(frozen=True)
class QuerySample:
    """Of which queries a sample was asked, drawn with a seed; the patients of the sampled [Q].

    A query of nobody has None.
    """

    of: Everybody
    seed: int
    patients: Sequence[str | None]

    def to_json(self) -> Record:
        """What a record says of it."""
        units = "patients" if any(self.patients) else "queries"
        return {
            "queries": len(self.patients),
            "of": len(self.of.queries.labels),
            "drawn": "uniform",
            "seed": self.seed,
            "intervals": {"of": units, "resamples": RESAMPLES, "level": 0.95},
        }

    @property
    def units(self) -> Sequence[Hashable]:
        """What is drawn again for intervals [Q]: the patients, and each query of nobody."""
        return [each or number for number, each in enumerate(self.patients)]


def list_numbers(
    found: Evaluation, group: str, excluded: bool, sample: QuerySample | None = None
) -> Record:
    """The chosen numbers at the top; those without (and with) the group's own items below.

    Of a sample with their intervals. Raises DataError when no query has a relevant image.
    """
    chosen = found.chosen(excluded)
    if chosen.dropped == len(chosen.values):
        raise DataError(f"none of {len(chosen.values)} queries has a relevant image to find")
    record = summary(chosen, sample, chosen is found.other_groups)
    if found.other_groups is not None:
        record[f"excluding_same_{group}"] = summary(found.other_groups, sample, others=True)
        if excluded:
            record[f"including_same_{group}"] = summary(found.scores, sample)
    return record


def summary(scores: Scores, sample: QuerySample | None = None, others: bool = False) -> Record:
    """Means over queries, over labels and by label; `queries` says how many the means are over.

    Of a sample each of them with the ends of its interval, NUMBER_low and NUMBER_high, and the
    labels of which it has no query: then nothing is known of means over labels. `others`: the
    scores are without the images of a query's own group.
    """
    counts, ends = scores.count_by_label(), _Ends()
    unasked = [] if sample is None else sample.of.unasked(scores, others)
    if sample is not None and scores.scored.any():
        found = intervals(scores, sample.units, sample.seed)
        parts = {label: _flatten(each) for label, each in found.by_label.items()}
        ends = _Ends(_flatten(found.micro), _flatten(found.macro), parts)
    macro = {**scores.macro(), **ends.macro}
    return {
        "queries": len(scores.values) - scores.dropped,
        "dropped": scores.dropped,
        "tied_pairs": scores.tied,
        **({} if sample is None else {"unasked_labels": unasked}),
        **scores.micro(),
        **ends.micro,
        "macro": dict.fromkeys(macro) if unasked else macro,
        "labels": {
            label: {"queries": counts[label], **means, **ends.labels.get(label, {})}
            for label, means in scores.by_label().items()
        },
    }


@dataclass(frozen=True)
class _Ends:
    """The ends of intervals by their names, none of a whole set."""

    micro: Record = field(default_factory=dict)
    macro: Record = field(default_factory=dict)
    labels: Mapping[str, Record] = field(default_factory=dict)


def _flatten(found: Mapping[str, Interval]) -> Record:
    return {
        f"{name}_{end}": value
        for name, bounds in found.items()
        for end, value in zip(("low", "high"), bounds, strict=True)
    }


def near_duplicates(found: Evaluation, copies: Integers) -> Record:
    """How many queries have an item that is nearly the same, or the same file under another id."""
    return {
        "similarity_above": NEAR_DUPLICATE,
        "queries": int((found.near_duplicates > 0).sum()),
        "pairs": int(found.near_duplicates.sum()),
        "queries_same_file": int((copies > 0).sum()),
    }
