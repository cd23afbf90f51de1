"""What a file that does not belong here seems to be, and what to do with it."""

import re
from contextlib import suppress
from pathlib import Path

from xmir_cli.errors import DataError
from xmir_cli.store.regular import open_regular

_START = 4096  # bytes that tell
_MAGIC = {
    b"PAR1": "parquet",
    b"\xff\xff\xff\xff": "stream",
    b"\x93NUMPY": "array",
    b"\x89PNG": "image",
    b"\xff\xd8\xff": "image",
    b"II*\0": "image",
    b"MM\0*": "image",
}
_CALLED = {
    "parquet": "a Parquet file",
    "stream": "an Arrow stream",
    "array": "a NumPy array",
    "image": "an image",
    "index": "an index",
    "parts": "a folder of embeddings",
    "folder": "a folder",
    "checkpoint": "a checkpoint",
    "manifest": "a table",
    "records": "a file of records",
    "json": "JSON over several lines",
    "list": "a list in JSON",
}
_NEXT = {  # what is expected, and what there is instead: what to do
    ("embeddings", "index"): "Name what it was built from: the Parquet file of 'xmir embed'.",
    ("embeddings", "checkpoint"): "Embed with it: xmir embed IMAGES... --model {0} -o NAME.parquet",
    ("embeddings", "manifest"): "Embed its images: xmir embed {0} -o NAME.parquet",
    (
        "embeddings",
        "records",
    ): "Name the index that they come from.",
    ("embeddings", "image"): "Embed it: xmir embed {0} -o NAME.parquet",
    ("embeddings", "folder"): "Embed its images: xmir embed {0} -o NAME.parquet",
    ("index", "parquet"): "Build one of embeddings: xmir index {0} -o NAME.xmir",
    ("index", "stream"): "Build one of embeddings: xmir index {0} -o NAME.xmir",
    ("index", "parts"): "Build one of embeddings: xmir index {0} -o NAME.xmir",
    ("index", "manifest"): "Embed its images and index them: xmir embed {0} | xmir index - -o NAME",
    ("index", "folder"): "Embed its images and index them: xmir embed {0} | xmir index - -o NAME",
    ("index", "image"): "Embed images and index them: xmir embed ... | xmir index - -o NAME.xmir",
    ("index", "checkpoint"): "Embed and index: xmir embed ... --model {0} | xmir index - -o NAME",
    ("index", "records"): "Name the index that they come from.",
    ("index", "array"): "A vector asks an index: xmir query --vector {0} --index NAME.xmir",
    ("records", "manifest"): "Print records with --format jsonl; a table of images goes to "
    "'xmir query' and 'xmir embed'.",
    ("records", "json"): "One object a line: jq -c . {0}",
    ("records", "list"): "One object a line: jq -c '.[]' {0}",
    ("records", "folder"): "Ask with its images: xmir query {0} --index NAME.xmir",
    ("records", "image"): "Ask with it: xmir query {0} --index NAME.xmir",
    ("records", "stream"): "Index embeddings, and ask: xmir query IMAGES... --index NAME.xmir",
    ("records", "index"): "Ask it: xmir query IMAGES... --index {0}",
    ("records", "parquet"): "Index embeddings, and ask: xmir query IMAGES... --index NAME.xmir",
    ("records", "checkpoint"): "Ask an index: xmir query IMAGES... --index NAME.xmir",
    ("images", "index"): "Ask it: xmir query IMAGES... --index {0}, or with all it has: --all",
    ("images", "records"): "xmir saliency, causal-metric and montage take records.",
    ("images", "checkpoint"): "It is a network: --model {0}",
    ("images", "array"): "A vector asks as it is: xmir query --vector {0}",
    ("checkpoint", "parquet"): "One is made by 'xmir train'.",
    ("checkpoint", "index"): "One is made by 'xmir train'; an index knows its own: --index {0}",
    ("checkpoint", "image"): "One is made by 'xmir train'.",
    ("checkpoint", "array"): "One is made by 'xmir train'.",
    ("checkpoint", "records"): "One is made by 'xmir train'.",
    ("checkpoint", "manifest"): "Train one on it: xmir train {0} -o NAME.safetensors",
    ("vectors", "parquet"): "Write them as a matrix: xmir embed --file-format npy -o NAME.npy",
    ("vectors", "stream"): "Write them as a matrix: xmir embed --file-format npy -o NAME.npy",
    ("vectors", "image"): "Ask with the image itself: xmir query {0}",
}
_DELIMITERS = re.compile(rb"[,;\t]|  +")  # of columns, aligned ones too
_COLUMNS = {b"path", b"query", b"retrieved", b"rank", b"label", b"method"}  # that tables have


def find_kind(path: Path) -> str:
    """The key of what a file or folder seems to be; empty for anything else."""
    if path.is_dir():
        if (path / "manifest.json").exists():
            return "index"
        return "parts" if next(path.glob("part-*.parquet"), None) else "folder"
    start = b""
    with suppress(DataError, OSError), open_regular(path) as file:
        start = file.read(_START)
    return kind_of(start) or ("manifest" if path.suffix.lower() in {".csv", ".tsv"} else "")


def kind_of(start: bytes) -> str:
    """The same, told by how a file begins."""
    for magic, kind in _MAGIC.items():
        if start.startswith(magic):
            return kind
    if start[128:132] == b"DICM":
        return "image"
    if start[5:9] == b"\0\0\0{" or start.startswith(b"PK\x03\x04"):  # safetensors, torch.save
        return "checkpoint"
    line, _, rest = start.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
    line = line.strip()
    if line.startswith(b"{"):
        return "json" if line == b"{" and rest.lstrip()[:1] in {b'"', b"}"} else "records"
    if line.startswith(b"[{") or (line == b"[" and rest.lstrip()[:1] in {b"{", b"]"}):
        return "list"
    names = {name.strip(b' "').lower() for name in _DELIMITERS.split(line)}
    return "manifest" if names & _COLUMNS and (len(names) > 1 or names == {b"path"}) else ""


def called(kind: str) -> str:
    """What it is called, for messages."""
    return _CALLED.get(kind, "something else")


def next_step(expected: str, kind: str, name: str) -> str:
    """What to do with it where something else is expected: a hint, or nothing."""
    return _NEXT.get((expected, kind), "").format(name)
