"""What a folder of a network is, for people who look at it."""

import math
from collections.abc import Mapping
from typing import cast

from xmir_cli import console
from xmir_cli.errors import ModelError
from xmir_cli.model.architectures import build_architecture, source_of, trust
from xmir_cli.model.folders import CONFIG, OWN_WEIGHTS, Folder, full_name, open_folder
from xmir_cli.model.pooling import AS_IT_IS, list_pools
from xmir_cli.model.shards import weights_files
from xmir_cli.store.checkpoint import METADATA, read_tensors_header
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record

_WEIGHTS = ("model.safetensors", "open_clip_model.safetensors")


def describe_network(name: str) -> Record:
    """Its library, its network, its sizes and its recipe; raises ModelError.

    Weights that cannot be read are said and left out.
    """
    name = full_name(name)
    trust(name)  # the command line names it
    folder = open_folder(name)
    built = build_architecture(name, pool=AS_IT_IS)
    pools = list_pools(built)
    for line in built.notes:
        console.note(line)
    return {
        "kind": "network",
        "library": folder.layout,
        **_called(folder),
        **_weights(folder),
        "dim": built.channels,
        "pools": pools,
        "model": ModelSpec(
            name, OWN_WEIGHTS, preprocessing=built.preprocessing, pool=pools[0]
        ).to_json(),
    }


def read_weights(name: str) -> None:
    """Read all of its tensors; raises ModelError for a file that is damaged."""
    source_of(full_name(name)).pretrained(full_name(name))


def _called(folder: Folder) -> Record:
    config = folder.read_json(CONFIG) if folder.has(CONFIG) else {}
    called = config.get("architecture") or config.get("model_type")
    return {"network": called} if isinstance(called, str) else {}


def _weights(folder: Folder) -> Record:
    try:
        files = weights_files(folder, _WEIGHTS)
        headers = [read_tensors_header(folder.path / file) for file in files]
    except ModelError as error:
        console.warning(str(error))
        return {}
    entries = [
        cast("Mapping[str, object]", entry)
        for header in headers
        for name, entry in header.items()
        if name != METADATA
    ]
    return {
        "bytes": sum((folder.path / file).stat().st_size for file in files),
        "tensors": len(entries),
        "parameters": sum(math.prod(cast("list[int]", entry["shape"])) for entry in entries),
        "types": sorted({str(entry["dtype"]) for entry in entries}),
    }
