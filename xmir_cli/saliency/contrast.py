"""Why this image and not that one: the map for one target minus the map for another."""

import torch

from xmir_cli.model.embedder import Embedder
from xmir_cli.saliency.sample import Explanation, Method, Sample, similarity


def contrast(
    method: Method, embedder: Embedder, targets: tuple[Sample, Sample], explained: Sample
) -> Explanation:
    """Where `explained` resembles the first target more than the second, negative where less.

    What holds of a method's map holds of the difference: with `activation` its cells sum to
    s(first, explained) - s(second, explained). The details are the first map's, and the second's
    with `contrast_` before their names.
    """
    first, second = (method(embedder, target, explained) for target in targets)
    other = {f"contrast_{name}": value for name, value in second.details.items()}
    other["contrast_similarity"] = similarity(targets[1], explained)
    return Explanation(
        torch.sub(first.saliency, second.saliency),
        first.evaluations + second.evaluations,
        {**first.details, **other},
        first.matches,
    )
