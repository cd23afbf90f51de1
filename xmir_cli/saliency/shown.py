"""A map says something of the picture alone, not of the black that a view has beside it."""

from dataclasses import replace

import torch
from torch import Tensor

from xmir_cli.pictures.crop import Crop
from xmir_cli.saliency.sample import Explanation


def keep_shown(saliency: Tensor, crop: Crop, beyond: float = 0.0) -> Tensor:
    """The map [S, S], of the value `beyond` where its pixels lie beyond the picture."""
    rows, columns = crop.shown(len(saliency))
    kept = torch.full_like(saliency, beyond)
    kept[rows, columns] = saliency[rows, columns]
    return kept


def explain_shown(explanation: Explanation, crop: Crop) -> Explanation:
    """The same with such a map; `beyond` in the details is what share of the absolute map was cut.

    Nothing changes where all of the view lies on the picture.
    """
    kept = keep_shown(explanation.saliency, crop)
    if torch.equal(kept, explanation.saliency):
        return explanation
    before, after = (each.double().abs().sum() for each in (explanation.saliency, kept))
    details = {**explanation.details, "beyond": float(1 - after / before)}
    return replace(explanation, saliency=kept, details=details)
