"""Embeddings by their name: a Parquet file, a folder of parts, a stream, or a receipt of one."""

import sys
from pathlib import Path

from xmir_cli.errors import DataError
from xmir_cli.store.embedding_parts import open_parts
from xmir_cli.store.embedding_readers import ParquetSource, not_embeddings, open_parquet
from xmir_cli.store.embedding_source import EmbeddingSource
from xmir_cli.store.embedding_stream import Kept, open_stream
from xmir_cli.store.hashes import sha256_file
from xmir_cli.store.kinds import kind_of, next_step
from xmir_cli.store.regular import open_regular
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.schemas.artifact import ArtifactRecord
from xmir_cli.wire.strict import parse_json

_LINE_LIMIT = 1 << 20  # bytes of a receipt
_PARQUET, _STREAM = b"PAR1", b"\xff\xff\xff\xff"


def open_embeddings(
    source: str, vouched: ModelSpec | None = None, folder: Path | None = None
) -> EmbeddingSource:
    """Embeddings in a Parquet file, a folder of part-*.parquet, an Arrow stream, or of a receipt.

    Args:
        source: Its path; `-` is standard input, which may hold a stream or a receipt.
        vouched: The model that is said to have made a Parquet file which does not tell.
        folder: Where a stream on standard input is kept while it is read; None: where temporary
            files are.

    Raises:
        DataError: What is described there is not of embeddings, or not whole; or of another file
            than the receipt is of.
    """
    return _from_stdin(folder) if source == "-" else _from_path(Path(source), vouched)


def _from_stdin(folder: Path | None) -> EmbeddingSource:
    if sys.stdin is None:
        raise DataError("standard input is closed")
    stream = sys.stdin.buffer
    start = stream.read(len(_STREAM))
    if not start:
        raise DataError("no records on standard input")
    if start.startswith(b"{"):
        rest = b"" if b"\n" in start else stream.readline(_LINE_LIMIT)
        return _from_receipt(start + rest, "standard input")
    if start == _PARQUET:
        raise DataError(
            "standard input: expected an Arrow stream, found Parquet",
            "Name the file: Parquet is read from its end.",
        )
    if start != _STREAM:  # what Arrow makes a length of, and waits for so many bytes
        raise DataError("standard input: damaged or cut Arrow stream")
    return open_stream("standard input", Kept(start, stream, folder).restart)


def _from_path(path: Path, vouched: ModelSpec | None) -> EmbeddingSource:
    if path.is_dir():
        return open_parts(path, vouched)
    with open_regular(path) as file:
        start = file.readline(_LINE_LIMIT)
    return _from_receipt(start, str(path)) if start.startswith(b"{") else _from_file(path, vouched)


def _from_file(path: Path, vouched: ModelSpec | None = None) -> EmbeddingSource:
    with open_regular(path) as file:
        start = file.read(4)
    if start == _PARQUET:
        return open_parquet(path, vouched)
    if start == _STREAM:
        return open_stream(str(path), lambda: open_regular(path))
    raise not_embeddings(path)


def _from_receipt(line: bytes, where: str) -> EmbeddingSource:
    try:
        record: object = parse_json(line)
    except ValueError:
        record = None
    if not isinstance(record, dict) or record.get("schema") != ArtifactRecord.NAME:
        step = next_step("embeddings", kind_of(line), where)
        raise DataError(f"{where}: expected embeddings or the receipt of 'xmir embed'", step)
    if record.get("kind") != "embeddings" or not isinstance(record.get("path"), str):
        raise DataError(f"{where}: the receipt of {record.get('kind')!r} is not of embeddings")
    path = Path(str(record["path"]))
    found = _from_file(path)
    if isinstance(found, ParquetSource) and found.shard is not None and found.shard.count > 1:
        raise DataError(
            f"{where}: {path} is shard {found.shard} alone", f"Name their folder: {path.parent}"
        )
    if record.get("sha256", told := sha256_file(path)) != told:
        raise DataError(
            f"{where}: {path} is another file than the receipt is of", "Name the file itself."
        )
    return found
