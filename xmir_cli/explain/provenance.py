"""The .json beside every map: what made it, and whether the map on disk is still that one."""

import hashlib
import json
from functools import cache
from pathlib import Path

from xmir_cli import __version__
from xmir_cli.errors import DataError
from xmir_cli.model.embedder import Embedder
from xmir_cli.store.atomic import atomic_file
from xmir_cli.store.hashes import sha256_file
from xmir_cli.store.maps import MAP_SHA256, SUM, find_sha256, hash_description
from xmir_cli.store.regular import DESCRIPTION_LIMIT, read_regular
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record
from xmir_cli.wire.strict import parse_json

_PACKAGE = Path(__file__).parents[1]
_MAKERS = ("affine", "explain", "images", "model", "pictures", "program", "saliency", "workarounds")


def made_of(embedder: Embedder, asked: Record) -> Record:
    """Everything that a map depends on, as plain data; maps made of the same are the same.

    `asked` holds the images, method, settings and the side explained. Images are named by their
    hash alone, for a path may say who the patient is.
    """
    network = _network(embedder.spec)
    code = hash_code(_PACKAGE)
    return {"xmir": __version__, "code": code, **asked, **network, "precision": embedder.precision}


@cache
def hash_code(package: Path) -> str:
    """16 digits that name the code of maps: other maps may come of another of the same version."""
    digest = hashlib.sha256()
    for folder in _MAKERS:
        for path in sorted((package / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def _network(spec: ModelSpec) -> Record:
    return {
        "architecture": spec.architecture,
        "weights_sha256": spec.weights_sha256,
        "head": spec.head,
        "preprocessing": spec.to_json()["preprocessing"],
        **({} if spec.pool == "native" else {"pool": spec.pool}),
        **({} if spec.whitening is None else {"whitening": spec.whitening.sha256}),
    }


def hash_origin(origin: Record) -> str:
    """16 hexadecimal digits for a file name."""
    return hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()[:16]


def write_provenance(path: Path, origin: Record, found: Record, saliency_sha256: str) -> None:
    """Write the .json, last of a map's files.

    Neither needs to be settled on the disk: after a loss of power they fit together or count as
    not there.

    `found` is what the method says beside the map: evaluations and details.
    """
    content: Record = {"made_of": origin, **found, MAP_SHA256: saliency_sha256}
    content = {**content, SUM: hash_description(content)}
    with atomic_file(path, settled=False) as file:
        text = json.dumps(content, sort_keys=True, allow_nan=False)  # indented: 5 times as slow
        file.write(f"{text}\n".encode())


def read_provenance(path: Path, origin: Record, saliency: Path) -> Record | None:
    """What the .json holds when it and the map are there, whole, and made of the same."""
    try:
        content: object = parse_json(read_regular(path, DESCRIPTION_LIMIT))
        plain = json.loads(json.dumps(origin))  # tuples become lists, as when read back
        if not isinstance(content, dict) or content.get("made_of") != plain:
            return None
        fits = find_sha256(saliency) == sha256_file(saliency)
    except (OSError, ValueError, DataError):
        return None
    return content if fits and {"evaluations", "details"} <= content.keys() else None
