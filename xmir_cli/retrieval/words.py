"""Words as queries: through the text tower of the model's folder into the images' space.

Several templates are averaged as unit vectors, and the mean brought to length 1, as is usual.
Source: Radford et al., Learning transferable visual models from natural language supervision,
ICML 2021, section 3.1.4.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from xmir_cli import console
from xmir_cli.errors import DataError, ModelError
from xmir_cli.model.embedder import Embedder, unit
from xmir_cli.model.text_sources import hash_words, load_text_tower
from xmir_cli.model.text_tower import TextTower
from xmir_cli.retrieval.queries import Asked, Question
from xmir_cli.wire.words import Words

_KEPT = 4096  # texts whose embeddings are kept
_BLOCK = 256  # questions searched at a time


@dataclass(frozen=True, eq=False)
class _Tower:
    """The text tower beside an embedder, and the words that it has embedded."""

    tower: TextTower
    known: dict[Words, Tensor] = field(default_factory=dict)


_towers: WeakKeyDictionary[Embedder, _Tower] = WeakKeyDictionary()


def _tower_of(embedder: Embedder) -> _Tower:
    """Loaded when words first ask.

    Raises ModelError for a model without a text tower, and for another one than the images had.
    """
    if embedder not in _towers:
        spec = embedder.spec
        if spec.words_sha256 and spec.words_sha256 != hash_words(spec):
            raise ModelError(
                f"{spec.architecture}: not the recorded text tower: since its images were embedded "
                "its tensors, its tokenizer or its description have changed",
                "Put back what was there, or embed and index again.",
            )
        _towers[embedder] = _Tower(load_text_tower(embedder.spec))
    return _towers[embedder]


def embed_words(embedder: Embedder, words: Words) -> Tensor:
    """The unit embedding [D] of words in the space of an embedder's images, made once.

    Raises ModelError for a model without a text tower, and for another one than recorded.
    """
    own = _tower_of(embedder)
    if words.sha256 and words.sha256 != own.tower.sha256:
        raise ModelError(
            f"{own.tower.name}: not the recorded text tower ({own.tower.sha256[:12]} is not "
            f"{words.sha256[:12]})",
            "Ask again with this one, or put back the recorded one.",
        )
    if words not in own.known:
        if len(own.known) >= _KEPT:
            own.known.clear()
        own.known[words] = embed_many(embedder, [words])[0]
    return own.known[words]


def embed_many(embedder: Embedder, texts: Sequence[Words]) -> Tensor:
    """The unit embeddings [N, D] of texts, of which as many pass at once as the tower takes."""
    prompts = [each.prompts for each in texts]
    vectors = _tower_of(embedder).tower.embed(list(chain.from_iterable(prompts)))
    parts = vectors.split([len(each) for each in prompts])
    return unit(torch.stack([part.mean(dim=0) for part in parts]))


def mix(weight: float, text: Tensor, image: Tensor) -> Tensor:
    """The unit vector of w * text + (1 - w) * image [D]; DataError when they cancel each other."""
    mixed = unit(weight * text + (1 - weight) * image)
    if not mixed.any():
        raise DataError("the words and the image cancel each other out", "Take another weight.")
    return mixed


def ask_words(embedder: Embedder, texts: Sequence[Words]) -> list[Asked]:
    """The words as this model's text tower takes them; those that are too long are said."""
    tower = _tower_of(embedder).tower
    asked = [
        Asked(replace(each, sha256=tower.sha256), max(tower.tokenizer.cut(each.prompts)))
        for each in texts
    ]
    if long := [each for each in asked if each.cut]:
        others = f", and of {len(long) - 1} more" if len(long) > 1 else ""
        console.note(
            f"{console.show(long[0].words.text)}: its last {long[0].cut} tokens are beyond what "
            f"the text tower takes and were left out{others}"
        )
    return asked


def text_questions(embedder: Embedder, texts: Sequence[Asked]) -> Iterator[list[Question]]:
    """Words that ask alone, in their order, a block at a time."""
    for start in range(0, len(texts), _BLOCK):
        block = texts[start : start + _BLOCK]
        vectors = embed_many(embedder, [each.words for each in block]).numpy()
        yield [
            Question("", vector, {}, words=each)
            for each, vector in zip(block, vectors, strict=True)
        ]


def join_words(embedder: Embedder, asked: Asked, question: Question) -> Question:
    """The query, with which words ask together."""
    assert asked.words.weight is not None
    image = torch.tensor(question.vector)  # a copy: those of an index are mapped from its file
    vector = mix(asked.words.weight, embed_words(embedder, asked.words), image).numpy()
    return replace(question, vector=vector, words=asked)
