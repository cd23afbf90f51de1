"""Words in the place of a query's image: the target of an explanation is an embedding."""

from dataclasses import replace

from xmir_cli.explain.cases import Case
from xmir_cli.model.embedder import Embedder
from xmir_cli.pictures.crop import Crop
from xmir_cli.retrieval.words import embed_words, mix
from xmir_cli.saliency.sample import make_target
from xmir_cli.wire.words import Words


def case_of_words(embedder: Embedder, words: Words, image: Case | None) -> Case:
    """The case of words that ask, alone or together with an image; it has no picture to draw on.

    Raises ModelError for a model without a text tower, and for another tower than recorded.
    """
    embedding = embed_words(embedder, words)
    if image is not None and words.weight is not None:
        mixed = mix(words.weight, embedding, image.sample.embedding)
        return replace(image, sample=make_target(mixed), picture=None, stored=False)
    side = embedder.size
    nowhere = Crop((0.0, 0.0, float(side), float(side)), (side, side))
    return Case("", nowhere, make_target(embedding), None)
