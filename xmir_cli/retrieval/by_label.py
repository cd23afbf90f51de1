"""Some queries of each label, drawn by lot."""

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256

from xmir_cli import console
from xmir_cli.errors import SettingError
from xmir_cli.gallery.protocol import Gallery, ItemKey
from xmir_cli.labels import LABEL, parse_labels
from xmir_cli.pictures.items import Item
from xmir_cli.store.names import escape_name

_BLOCK = 8192  # items whose labels are read at a time
_SHOWN = 10  # labels that are named
_Ticket = tuple[int, int, frozenset[str]]  # minus the lot, minus the place, the labels


def items_by_label(gallery: Gallery, count: int, seed: int) -> list[ItemKey]:
    """Items of the gallery that ask, `count` of each label; see `draw_by_label`."""
    if LABEL not in gallery.column_names:
        raise SettingError("per_label", f"no image of {gallery.name} has a label")
    keys: list[ItemKey] = []

    def entries() -> Iterable[tuple[str, object]]:
        for chunk in gallery.iterate(_BLOCK, ["id", LABEL]):
            keys.extend(chunk.keys)
            columns = (chunk.columns[name].to_pylist() for name in ("id", LABEL))
            yield from zip(*columns, strict=True)

    drawn = draw_by_label(entries(), count, seed)
    return [keys[place] for place in drawn]


def images_by_label(items: Sequence[Item], count: int, seed: int) -> list[Item]:
    """Images that ask, `count` of each label; see `draw_by_label`."""
    entries = ((escape_name(item.id), item.text(LABEL)) for item in items)
    return [items[place] for place in draw_by_label(entries, count, seed)]


def draw_by_label(entries: Iterable[tuple[str, object]], count: int, seed: int) -> list[int]:
    """The places of `count` images of each label; of those with several labels each counts.

    Each image has a lot, by the seed and its id alone, so that neither the order of the images nor
    other ones change whose turn it is. Rare labels choose first; others add what is missing to what
    is chosen already, so that a frequent one has more only where rarer ones brought it.

    Args:
        entries: The id and the labels (`A|B`) of each image.
        count: How many of each label, at least 1.
        seed: Decides the lots.

    Returns:
        Places, grouped by the label that chose them, in alphabetical order.

    Raises:
        SettingError: Nothing has a label.
    """
    tickets: dict[str, list[_Ticket]] = {}  # of each label those of the first lots
    sizes: Counter[str] = Counter()
    for place, (name, text) in enumerate(entries):
        labels = parse_labels(text)
        lot = int.from_bytes(sha256(f"{seed} {name}".encode()).digest()[:8]) if labels else 0
        sizes.update(labels)
        for label in labels:
            held = tickets.setdefault(label, [])
            keep = heapq.heappush if len(held) < count else heapq.heappushpop
            keep(held, (-lot, -place, labels))
    if not sizes:
        raise SettingError("per_label", "no image has a label")
    _say_few(sizes, count)
    chosen: dict[_Ticket, str] = {}
    there: Counter[str] = Counter()
    for label in sorted(sizes, key=lambda label: (sizes[label], label)):
        others = [each for each in sorted(tickets[label], reverse=True) if each not in chosen]
        for each in others[: max(count - there[label], 0)]:
            chosen[each] = label
            there.update(each[2])
    order = sorted(chosen, key=lambda each: (chosen[each], -each[0], -each[1]))
    return [-place for _, place, _ in order]


def _say_few(sizes: Counter[str], count: int) -> None:
    few = [f"{label} {size}" for label, size in sorted(sizes.items()) if size < count]
    if few:
        named = ", ".join(few[:_SHOWN]) + (", ..." if few[_SHOWN:] else "")
        console.note(f"fewer than {count} images of some labels: {named}")
