"""Folders that transformers wrote (extra `hf`)."""

from collections.abc import Mapping

from torch import Tensor

from xmir_cli.errors import ModelError
from xmir_cli.model.folders import open_folder
from xmir_cli.model.network import Architecture
from xmir_cli.model.shards import read_folder_tensors


def build(name: str, input_size: int | None) -> Architecture:
    """The vision network of a folder; raises ModelError."""
    raise ModelError(f"{name}: not yet at {input_size}")


def pretrained(name: str) -> Mapping[str, Tensor]:
    """The tensors that lie in the folder; raises ModelError."""
    return read_folder_tensors(open_folder(name))
