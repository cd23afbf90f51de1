"""A loaded text tower: from prompts to unit embeddings in the space of its image tower."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from xmir_cli.errors import ModelError
from xmir_cli.model.embedder import unit
from xmir_cli.model.tokenizers import Tokenizer
from xmir_cli.model.weights import hash_weights
from xmir_cli.store.hashes import sha256_file

_BATCH = 64  # prompts that pass at once
_SHOWN = 3  # names in a message


@dataclass(frozen=True, eq=False)
class TextTower:
    """The text tower of a folder, in eval mode on the CPU in float32."""

    name: str  # of the folder
    network: nn.Module
    encode: Callable[[Mapping[str, Tensor]], Tensor]  # tokens to raw embeddings [N, D]
    tokenizer: Tokenizer
    made_as: str  # what beside tensors and tokenizer makes it, as the folder says it

    @cached_property
    def sha256(self) -> str:
        """Over how the network is made, its tensors, and the bytes of the tokenizer's files."""
        total = hashlib.sha256(f"{self.made_as}\n{hash_weights(self.network)}".encode())
        for file in self.tokenizer.files:
            total.update(f"\n{file.name} {sha256_file(file)}".encode())
        return total.hexdigest()

    def embed(self, prompts: Sequence[str]) -> Tensor:
        """Unit embeddings [N, D]; raises ModelError for tokens that the network does not know."""
        vectors = []
        for start in range(0, len(prompts), _BATCH):
            try:
                with torch.no_grad():
                    raw = self.encode(self.tokenizer.tokenize(prompts[start : start + _BATCH]))
            except IndexError:
                raise ModelError(
                    f"{self.name}: its tokenizer makes tokens that its text tower does not know"
                ) from None
            vectors.append(unit(raw.float()))
        return torch.cat(vectors)


def fill_tower(network: nn.Module, found: Mapping[str, Tensor], name: str) -> None:
    """Put a folder's tensors into its text tower; raises ModelError unless they are all of it."""
    own, found = network.state_dict(), {k: v for k, v in found.items() if not _is_counter(k)}
    missing = [key for key in own if key not in found and not _is_counter(key)]
    others = [key for key in found if key not in own]
    for keys, what in ((missing, "are missing"), (others, "have no place in it")):
        if keys:
            shown = ", ".join(keys[:_SHOWN])
            raise ModelError(f"{name}: {len(keys)} tensors of its text tower {what} ({shown})")
    for key, given in found.items():
        expected, actual = tuple(own[key].shape), tuple(given.shape)
        if expected != actual:
            raise ModelError(f"{name}: {key}: expected shape {expected}, found {actual}")
        if given.is_floating_point() and not bool(torch.isfinite(given.float()).all()):
            raise ModelError(f"{name}: {key}: holds NaN or infinity")
    network.load_state_dict({**own, **found})
    network.eval().requires_grad_(requires_grad=False)


def _is_counter(name: str) -> bool:
    """Whether a tensor counts places, which earlier versions of the library kept in files."""
    return name.endswith("position_ids")
