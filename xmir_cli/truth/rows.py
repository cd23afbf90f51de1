"""Rows about images: a table, JSON lines, a list of objects, or annotations as COCO has them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from xmir_cli.errors import DataError
from xmir_cli.store.manifest import Names, is_manifest, read_table
from xmir_cli.store.regular import read_regular
from xmir_cli.wire.records import Record
from xmir_cli.wire.strict import parse_json

_LIMIT = 256 << 20  # bytes of a JSON file
JSON = (".json", ".jsonl")


def is_table(name: str) -> bool:
    """Whether a file is one of rows, by its extension."""
    return is_manifest(name) or Path(name).suffix.lower() in JSON


def read_rows(path: Path, names: Names) -> list[Record]:
    """The rows of a file, each with a `path`, columns under the names that they have in `names`.

    Raises DataError, naming the place, for a file that has other things in it.
    """
    if is_manifest(str(path)):
        return [dict(row) for row in read_table(path, names)]
    rows = _of_json(path)
    renamed = [{**row, **{new: row.get(old) for new, old in names.items()}} for row in rows]
    for number, row in enumerate(renamed, 1):
        if not isinstance(row.get("path"), str) or not row["path"]:
            raise DataError(
                f"{path}: entry {number}: path: expected a file, found {row.get('path')!r:.40}",
                "Name it with `columns` path=KEY.",
            )
    return renamed


def _of_json(path: Path) -> list[Record]:
    data = read_regular(path, _LIMIT)
    try:
        if path.suffix.lower() == ".jsonl":
            found: object = [parse_json(line) for line in data.splitlines() if line.strip()]
        else:
            found = parse_json(data)
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error})") from None
    if isinstance(found, dict) and "annotations" in found:
        return list(_of_coco(path, found))
    if isinstance(found, dict):
        return list(_of_names(path, found))
    return _objects(path, "entries", found)


def _of_names(path: Path, found: Mapping[str, object]) -> Iterator[Record]:
    """Boxes by the names of their images: {"a.png": [[x, y, w, h], ...]}."""
    for name, boxes in found.items():
        if not isinstance(boxes, list) or not all(isinstance(box, list) for box in boxes):
            raise DataError(f"{path}: {name[:60]!r}: expected a list of boxes [x, y, w, h]")
        yield from ({"path": name, "box": box} for box in boxes or [None])


def _of_coco(path: Path, found: Mapping[str, object]) -> Iterator[Record]:
    """Annotations with the names of their images and categories; an image may have none."""
    files = {
        str(each.get("id")): each.get("file_name")
        for each in _objects(path, "images", found.get("images"))
    }
    names = {
        str(each.get("id")): each.get("name")
        for each in _objects(path, "categories", found.get("categories") or [])
    }
    left = dict(files)
    for number, each in enumerate(_objects(path, "annotations", found["annotations"]), 1):
        image = str(each.get("image_id"))
        if image not in files:
            raise DataError(f"{path}: annotation {number}: image_id: no such image in it")
        left.pop(image, None)
        category = names.get(str(each.get("category_id")))
        yield {**each, "path": files[image], "box": each.get("bbox"), "category": category}
    yield from ({"path": name, "box": None} for name in left.values())


def _objects(path: Path, what: str, found: object) -> list[Record]:
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise DataError(f"{path}: {what}: expected a list of objects")
    return found
