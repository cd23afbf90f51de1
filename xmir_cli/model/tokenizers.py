"""Tokenizers of transformers out of a folder's own files: no code of the folder runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from xmir_cli.errors import ModelError, reason_of
from xmir_cli.model.folders import Folder
from xmir_cli.store.hashes import sha256_file

_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_VOCABULARIES = (
    *("tokenizer.json", "vocab.json", "merges.txt", "vocab.txt"),
    *("spiece.model", "tokenizer.model", "sentencepiece.bpe.model"),
)


@dataclass(frozen=True)
class Tokenizer:
    """From prompts to the network's arguments."""

    tokenize: Callable[[Sequence[str]], Mapping[str, Tensor]]  # as many tokens as its context takes
    cut: Callable[[Sequence[str]], list[int]]  # how many tokens of each prompt are beyond that
    files: tuple[Path, ...] = ()  # that it is made of, where a folder has them


def tokenizer_files(folder: Folder) -> tuple[Path, ...]:
    """The files that decide which tokens a text becomes; raises ModelError where there are none."""
    if not any(folder.has(name) for name in _VOCABULARIES):
        raise ModelError(
            f"{folder.name}: no tokenizer in it",
            "Put tokenizer.json there, or the vocabulary's files, as its library wrote them.",
        )
    return tuple(folder.path / each for each in (*_VOCABULARIES, *_SETTINGS) if folder.has(each))


def say_files(files: Sequence[Path]) -> str:
    """The names of files and the SHA-256 of what is in them."""
    return "".join(f"\n{file.name} {sha256_file(file)}" for file in files)


def load_tokenizer(folder: Folder) -> Any:  # noqa: ANN401 # transformers' own, an extra
    """The folder's tokenizer; raises ModelError for one that needs code, or that is damaged."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(
            str(folder.path), trust_remote_code=False, local_files_only=True
        )
    except Exception as error:  # noqa: BLE001 # whatever the library makes of the files
        reason = reason_of(error)
        raise ModelError(f"{folder.name}: its tokenizer cannot be read ({reason})") from None


def cut_off(tokenizer: Any, context: int) -> Callable[[Sequence[str]], list[int]]:  # noqa: ANN401 # as above
    """How many tokens of each text are beyond the context."""

    def count(texts: Sequence[str]) -> list[int]:
        whole = tokenizer(list(texts), truncation=False, padding=False)["input_ids"]
        return [max(0, len(each) - context) for each in whole]

    return count
