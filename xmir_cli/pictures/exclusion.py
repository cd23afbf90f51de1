"""Images that a file says to leave out: by what they are, or by their ids and paths.

The file holds records of 'xmir audit', whose queries are meant, or ids and paths, one a line or
under `id` and `path` of a record. An image of which the SHA-256 is told is found wherever it lies,
and only there where it is the same. Of equal files that such records tell apart one stays: that of
the id of the image that is to stay, else the one whose path ends most like its path, and not like
those of the images that are to leave, else the first.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from xmir_cli import console
from xmir_cli.errors import DataError, ItemError
from xmir_cli.pictures.batches import decode_all
from xmir_cli.pictures.files import open_image
from xmir_cli.pictures.items import Item
from xmir_cli.store.jsonl import open_lines, read_records
from xmir_cli.wire.records import Record


class NamedImage(NamedTuple):
    """An image that may be one of those to leave out."""

    place: int  # among all
    id: str
    path: str
    identity: str | None


class Naming(NamedTuple):
    """What a record tells of an image by which it is known among equal files."""

    id: str
    path: str


@dataclass
class EqualFiles:
    """Images of one content of which one stays."""

    stays: Naming
    leave: list[Naming] = field(default_factory=list)

    def leaving(self, images: Sequence[NamedImage]) -> set[int]:
        """The places of those of some such images that are left out.

        None of them stays where the best of them is told to leave, for the one that stays is
        elsewhere then.
        """
        best = max(images, key=self._rank)
        stays = self._rank(best) >= (False, True, 0)
        return {image.place for image in images if image is not best or not stays}

    def _rank(self, image: NamedImage) -> tuple[bool, bool, int]:
        goes = image.id in {each.id for each in self.leave}
        return image.id == self.stays.id, not goes, self._likeness(image)

    def _likeness(self, image: NamedImage) -> int:
        """How many more of its path's last parts are those of the one that stays."""
        others = (_common_end(image.path, each.path) for each in self.leave)
        return _common_end(image.path, self.stays.path) - max(others, default=0)


@dataclass
class Exclusion:
    """What is to be left out."""

    source: str  # the file that says so
    identities: set[str] = field(default_factory=set)
    equal: dict[str, EqualFiles] = field(default_factory=dict)  # by identity, where one stays
    names: dict[str, str] = field(default_factory=dict)  # ids and paths, as they are written
    sizes: set[int] | None = field(default_factory=set)  # bytes; None: not known of each file

    def may_have(self, name: str, path: str, identity: str | None) -> bool:
        """Whether an image may have to be left out."""
        return bool({name, path} & self.names.keys()) or self.knows(identity)

    def knows(self, identity: str | None) -> bool:
        """Whether it is one of those whose content is told."""
        return identity in self.identities or identity in self.equal

    def choose(self, images: Iterable[NamedImage], of: int) -> set[int]:
        """The places of those of some images that are left out; says how many of all they are."""
        left: set[int] = set()
        equal: dict[str, list[NamedImage]] = {}
        met: set[str] = set()
        for image in images:
            named = {self.names[each] for each in (image.id, image.path) if each in self.names}
            if named or image.identity in self.identities:
                left.add(image.place)
            elif image.identity in self.equal:
                equal.setdefault(str(image.identity), []).append(image)
            met |= named | ({image.identity} if image.identity else set())
        for identity, same in equal.items():
            left |= self.equal[identity].leaving(same)
        missing = len({*self.identities, *self.equal, *self.names.values()} - met)
        others = f"; {missing} that it names are not among them" if missing else ""
        console.note(f"{self.source}: {len(left)} of {of} images are left out{others}")
        if len(left) == of:
            raise DataError(f"{self.source}: says to leave out all {of} images")
        return left


def read_exclusion(source: Path) -> Exclusion:
    """What a file says to leave out, which may be nothing; raises DataError for a bad line."""
    found = Exclusion(str(source))
    with open_lines(str(source)) as lines:
        for number, line in read_records(replace(lines, folder="")):
            if isinstance(line, ItemError):
                raise DataError(f"{source}: line {number}: {line.reason}")
            if not (_take_identity(found, line) or _take_name(found, line)):
                raise DataError(
                    f"{source}: line {number}: expected a record of xmir audit, an id or a path"
                )
    return found


def leaving_out(source: Path | None, jobs: int | None) -> Callable[[list[Item]], list[Item]]:
    """What makes of items those that the file does not say to leave out, and says how many it does.

    It wants all items that there are, so that of equal files the right one stays. Only files that
    are as large as one of those that are named are read for it. Raises DataError where none is
    left.
    """
    return list if source is None else partial(_exclude, read_exclusion(source), jobs)


def _exclude(exclusion: Exclusion, jobs: int | None, items: list[Item]) -> list[Item]:
    left = exclusion.choose(_find_named(items, exclusion, jobs), len(items))
    return [item for place, item in enumerate(items) if place not in left]


def _find_named(
    items: Sequence[Item], exclusion: Exclusion, jobs: int | None
) -> Iterator[NamedImage]:
    """The items that may have to be left out."""
    maybe = [place for place, item in enumerate(items) if _may_be(item, exclusion)]
    with console.progress("leaving out", len(maybe)) as bar:
        found = decode_all(maybe, lambda place: open_image(items[place].path).identity, jobs)
        for place, each in zip(maybe, found, strict=True):
            identity = None if isinstance(each, ItemError) else each
            item = items[place]
            if exclusion.may_have(item.id, item.path, identity):
                yield NamedImage(place, item.id, item.path, identity)
            bar.advance()


def _may_be(item: Item, exclusion: Exclusion) -> bool:
    if exclusion.may_have(item.id, item.path, None):
        return True
    if not (exclusion.identities or exclusion.equal):
        return False
    if exclusion.sizes is None:
        return True
    with suppress(OSError, ValueError):
        return Path(item.file).stat().st_size in exclusion.sizes
    return False


def _take_identity(found: Exclusion, record: Record) -> bool:
    """Whether a line tells the SHA-256 of an image, which is taken up then."""
    is_pair = "query" in record
    identity = _text(record.get("query_identity" if is_pair else "identity"))
    if not identity:
        return False
    is_copy = is_pair and record.get("finding") in {"duplicate", "leak"}
    if is_copy and record.get("retrieved_identity") == identity:
        stays = Naming(_id_in(record.get("meta")), _text(record.get("retrieved")))
        leaves = Naming(_id_in(record.get("query_meta")), _text(record.get("query")))
        found.equal.setdefault(identity, EqualFiles(stays)).leave.append(leaves)
    else:
        found.identities.add(identity)
    size = record.get("query_bytes")
    if not isinstance(size, int):
        found.sizes = None
    elif found.sizes is not None:
        found.sizes.add(size)
    return True


def _take_name(found: Exclusion, record: Record) -> bool:
    """Whether a line names an image, which is taken up then."""
    meta = record.get("query_meta") or record.get("meta")
    told = meta if isinstance(meta, Mapping) and "query" in record else record
    names = map(_text, (told.get("id"), record.get("query"), record.get("path")))
    name = next((each for each in names if each), "")
    if name:
        found.names[name] = name
        if "/" in name:
            found.names[os.path.abspath(name)] = name  # noqa: PTH100 # Path.resolve would follow links
    return bool(name)


def _id_in(meta: object) -> str:
    return _text(meta.get("id")) if isinstance(meta, Mapping) else ""


def _common_end(first: str, second: str) -> int:
    """How many of the last parts of two paths are the same."""
    pairs = zip(reversed(Path(first).parts), reversed(Path(second).parts), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
