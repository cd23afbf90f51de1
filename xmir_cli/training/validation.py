"""What a retrieval with the network would be worth."""

from collections.abc import Callable, Sequence

import torch

from xmir_cli.errors import ModelError
from xmir_cli.metrics.ranking import Measures
from xmir_cli.metrics.relevance import LabelledVectors
from xmir_cli.metrics.retrieval import leave_one_out, warn_of_ties
from xmir_cli.training.examples import Example
from xmir_cli.training.feed import Feed

VALIDATION_NUMBERS = ("map", "p_at_1", "p_at_5")
_MEASURES = Measures((1, 5))


def validate(
    feed: Feed, examples: Sequence[Example], advance: Callable[[int], None] = lambda _: None
) -> dict[str, float | None]:
    """mAP, P@1 and P@5, each image asked about among all others; None without any match to find.

    Where the network no longer tells images apart, the share of tied pairs as well. `advance` is
    told how many images more passed the network.
    """
    if not examples:
        return dict.fromkeys(VALIDATION_NUMBERS)
    feed.embedder.network.eval()
    batches = feed.load_plain(examples, feed.embedder.batch)
    made = []
    for batch in batches:
        made.append(feed.embedder.embed(batch, len(examples)))
        advance(len(batch))
    vectors = torch.cat(made)
    for example, vector in zip(examples, vectors, strict=True):
        if not vector.isfinite().all():
            raise ModelError(
                f"{example.name}: its embedding is NaN or infinite", "Lower `learning_rate`."
            )
    labels = [example.label for example in examples]
    images = LabelledVectors(vectors.numpy(), labels, [None] * len(labels))
    scores = leave_one_out(images, _MEASURES).scores
    means = scores.micro()
    tied = {} if warn_of_ties(scores) is None else {"tied_pairs": scores.tied}
    return {**{name: means.get(name) for name in VALIDATION_NUMBERS}, **tied}
