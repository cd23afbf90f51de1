"""What the doctor found as the rows of a table."""

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from xmir_cli.wire.records import Record

COLUMNS = ("part", "name", "value", "note")

_Row = tuple[str, str, str]  # name, value, note


def table_rows(record: Record) -> Iterator[Record]:
    """A row for each thing found."""
    drawn = {
        "devices": _devices,
        "versions": _versions,
        "extras": _extras,
        "threads": _threads,
        "caches": _caches,
        "speed": _speed,
    }
    for part, draw in drawn.items():
        for row in draw(record):
            yield dict(zip(COLUMNS, (part, *row), strict=True))


def _inner(value: object) -> Iterable[tuple[str, Record]]:
    return cast("Mapping[str, Record]", value).items()


def _devices(record: Record) -> Iterator[_Row]:
    found = dict(_inner(record["devices"]))
    cpu = found.pop("cpu")
    cores, usable, threads = cpu["cores"], cpu["usable"], cpu["threads"]
    yield "cpu", _count(cores, "core"), f"{usable} usable, {_count(threads, 'thread')}"
    for name, device in found.items():
        free = device.get("free")
        note = "" if free is None else f", {_size(free)} free"
        yield name, str(device.get("name", "available")), f"{_size(device['memory'])}{note}"
    if not any(name.startswith("cuda") for name in found):
        built = cast("Record", record["versions"])["cuda"]
        yield "cuda", "none", "" if built else "torch is built without CUDA"
    if "mps" not in found:
        yield "mps", "none", ""


def _versions(record: Record) -> Iterator[_Row]:
    for name, version in cast("Record", record["versions"]).items():
        if name == "cuda":
            yield name, str(version or "none"), "of torch"
        elif name == "system":
            kind, _, release = str(version).partition(" ")
            yield name, kind, release
        else:
            yield name, str(version or "missing"), ""


def _extras(record: Record) -> Iterator[_Row]:
    for name, extra in _inner(record["extras"]):
        packages = cast("Mapping[str, str | None]", extra["packages"])
        lacking = sum(version is None for version in packages.values())
        if extra["state"] == "installed":
            package, version = next(iter(packages.items()))  # the one that the extra is for
            more = f", {len(packages) - 1} more" if len(packages) > 1 else ""
            yield name, f"{package} {version}{more}", ""
        else:
            share = f"{lacking} of {len(packages)} " if 0 < lacking < len(packages) else ""
            yield name, f"{share}{extra['state']}", str(extra["install"])


def _threads(record: Record) -> Iterator[_Row]:
    notes = {"torch": "inside an operation", "interop": "between operations"}
    for name, value in cast("Record", record["threads"]).items():
        yield name, "not set" if value is None else str(value), notes.get(name, "")


def _caches(record: Record) -> Iterator[_Row]:
    for name, cache in _inner(record["caches"]):
        size = _size(cache["bytes"]) if cache["exists"] else "not there yet"
        state = size if cache["writable"] else f"{size}, not writable"
        yield name, state, str(cache["path"])


def _speed(record: Record) -> Iterator[_Row]:
    speed = cast("Record", record["speed"])
    rate = speed["images_per_second"]
    note = f"on {speed['device']}" if rate is not None else str(speed["failed"])
    yield str(speed["network"]), "failed" if rate is None else f"{rate} images/s", note


def _count(number: object, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _size(amount: object) -> str:
    """Bytes in the largest unit of which there is one."""
    size = float(cast("int", amount))
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
