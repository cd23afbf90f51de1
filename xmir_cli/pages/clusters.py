"""The groups of 'xmir cluster' on a page: a row each, of its exemplars."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from xmir_cli.console import escape
from xmir_cli.labels import parse_labels
from xmir_cli.pages.columns import Hit, name_columns
from xmir_cli.pages.entries import PageEntry

_LABELS = 4  # of a group that are told, the most frequent first


def without_others(entries: Iterable[PageEntry]) -> list[PageEntry]:
    """The entries that are drawn: of groups the exemplars alone."""
    return [entry for entry in entries if entry.place is None or entry.place.exemplar]


def cluster_lines(entries: Iterable[PageEntry]) -> dict[tuple[object, ...], list[str]]:
    """For each row that is a group its method, its size, and how many of it have which label."""
    groups: dict[tuple[object, ...], list[PageEntry]] = {}
    for entry in entries:
        if entry.place is not None:
            groups.setdefault(entry.row, []).append(entry)
    kinds = {key: group[0].kind for key, group in groups.items()}
    totals = Counter(kinds[key] for key, group in groups.items() for _ in group)
    names = name_columns([(kind, 1) for kind in totals])
    return {
        key: [
            names[kinds[key], 1] if group[0].saliency else "",
            f"{len(group)} of {totals[kinds[key]]}",
            *_labels(group),
        ]
        for key, group in groups.items()
    }


def exemplar_lines(hit: Hit, names: Mapping[str, str]) -> list[str]:
    """The verdict, the label and the name of the image, and what it was compared with."""
    entry = hit.entries[0]
    view = entry.view
    own, other = (view.query, view.retrieved)[:: 1 if entry.explains_query else -1]
    label = view.query_label if entry.explains_query else view.retrieved_label
    verdict = "" if view.match is None else "correct" if view.match else "wrong"
    beside = "" if entry.is_self else f"with {names.get(other) or _words(entry)}"
    return [verdict, escape(label or ""), names.get(own, ""), beside]


def _words(entry: PageEntry) -> str:
    return "words" if entry.words is None else escape(entry.words.text)


def _labels(group: Sequence[PageEntry]) -> list[str]:
    texts = [
        entry.view.query_label if entry.explains_query else entry.view.retrieved_label
        for entry in group
    ]
    counts = Counter(label for text in texts for label in sorted(parse_labels(text)))
    told = [f"{escape(label)} {count}" for label, count in counts.most_common(_LABELS)]
    more = len(counts) - _LABELS
    return [*told, f"and {more} labels more"] if more > 0 else told
