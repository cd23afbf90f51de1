"""What stands under the pictures of a page, once for all pictures of an image."""

from collections.abc import Iterable, Mapping, Sequence

from xmir_cli.console import escape
from xmir_cli.pages.columns import Hit
from xmir_cli.pages.entries import PageEntry
from xmir_cli.render.words import fits
from xmir_cli.store.concept_names import concept_name
from xmir_cli.wire.words import Words

_LONGEST = 1000  # characters of a text under a picture


def short_names(entries: Iterable[PageEntry]) -> dict[str, str]:
    """For each image of these records its name without folders, but for those that tell it apart.

    An image is called by the id of its table where it has one, else by its path.
    """
    wholes: dict[str, str] = {}
    images: dict[str, str] = {}  # by path: the identity, where one is known
    for entry in entries:
        view, meta = entry.view, entry.view.meta or {}
        wholes.setdefault(entry.retrieved, str(meta.get("id") or entry.retrieved))
        for path in (entry.query, view.contrast, *(view.negatives or ())):
            if path:
                wholes.setdefault(path, path)
        images[entry.retrieved] = view.retrieved_identity or entry.retrieved
        images[entry.query] = view.query_identity or entry.query
    ends = {whole: _ends(whole) for whole in set(wholes.values())}
    shared: dict[str, set[str]] = {}
    for path, whole in wholes.items():
        for end in ends[whole]:
            shared.setdefault(end, set()).add(images.get(path, path))
    return {path: escape(_shortest(ends[whole], shared)) for path, whole in wholes.items()}


def hit_lines(hit: Hit, names: Mapping[str, str]) -> list[str]:
    """Rank, similarity and verdict; the label; the name; why it is there, and beside what.

    Of two models that are compared each has its own rank and similarity. Findings of 'xmir audit'
    say why; maps may be contrasted with another image.
    """
    view = hit.entries[0].view
    verdict = "" if view.match is None else "correct" if view.match else "wrong"
    sides = {entry.side: entry for entry in hit.entries if entry.side}
    if sides:
        first = [f"{side} {_standing(entry, ', ') or '-'}" for side, entry in sides.items()]
    else:
        first = [_standing(hit.entries[0])]
    told = "  ·  ".join(each for each in (*first, verdict) if each)
    beside = dict.fromkeys(
        line for entry in hit.entries for line in (*_finding(entry), *_others(entry, names))
    )
    return [told, escape(view.retrieved_label or ""), names[hit.entries[0].retrieved], *beside]


def _standing(entry: PageEntry, between: str = "  ·  ") -> str:
    rank, similarity = entry.view.rank, entry.view.similarity
    told = ("" if rank is None else f"{rank}", "" if similarity is None else f"{similarity:.3f}")
    return between.join(each for each in told if each)


def query_lines(entry: PageEntry, side: int, names: Mapping[str, str]) -> list[str]:
    """The label and the name of the query, and words that ask with it or do not fit its place."""
    label = escape(entry.view.query_label or "")
    name = names.get(entry.query, "")
    words = entry.words
    if words is None:
        return [label, name]
    if words.weight is not None:
        return [label, name, f"and the words: {_told(words)}"]
    return [] if fits(escape(words.text), side) else [_told(words)]


def _told(words: Words) -> str:
    text = escape(words.text)
    more = len(text) - _LONGEST
    return f"{text[:_LONGEST]} … and {more} characters more" if more > 0 else text


def _finding(entry: PageEntry) -> Sequence[str]:
    """What an audit found of the query."""
    told = [entry.view.record.get(name) for name in ("finding", "why")]
    return [escape(": ".join(map(str, told)))] if all(told) else []


def _others(entry: PageEntry, names: Mapping[str, str]) -> Sequence[str]:
    """Which image is compared with the pair, and what the colours say of it."""
    negatives = [f"told apart from {names[path]}" for path in entry.view.negatives or () if path]
    other = entry.view.contrast
    if entry.view.target:
        return [f"the map is of the concept {escape(concept_name(entry.view.target))}"]
    if not other:
        return negatives
    if entry.explains_query:
        return [*negatives, f"on the query, red: like this image, blue: like {names[other]}"]
    return [*negatives, f"red: like the query, blue: like {names[other]}"]


def _ends(whole: str) -> list[str]:
    """The last part of a path, the last two ..., all of it."""
    parts = [part for part in whole.split("/") if part] or [whole]
    return ["/".join(parts[-count:]) for count in range(1, len(parts) + 1)]


def _shortest(ends: Sequence[str], shared: Mapping[str, set[str]]) -> str:
    return next((end for end in ends if len(shared[end]) == 1), ends[-1])
