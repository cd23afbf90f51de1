"""What a retrieval with the network would be worth."""

from collections.abc import Sequence

import torch

from xmir_cli.metrics.ranking import Measures
from xmir_cli.metrics.retrieval import LabelledVectors, leave_one_out
from xmir_cli.training.examples import Example
from xmir_cli.training.feed import Feed

VALIDATION_NUMBERS = ("map", "p_at_1", "p_at_5")
_MEASURES = Measures((1, 5))


def validate(feed: Feed, examples: Sequence[Example]) -> dict[str, float | None]:
    """mAP, P@1 and P@5, each image asked about among all others; None without any match to find."""
    if not examples:
        return dict.fromkeys(VALIDATION_NUMBERS)
    feed.embedder.network.eval()
    batches = feed.load_plain(examples, feed.embedder.batch)
    vectors = [feed.embedder.embed(images, len(examples)) for images in batches]
    labels = [example.label for example in examples]
    images = LabelledVectors(torch.cat(vectors).numpy(), labels, [None] * len(labels))
    means = leave_one_out(images, _MEASURES).scores.micro()
    return {name: means.get(name) for name in VALIDATION_NUMBERS}
