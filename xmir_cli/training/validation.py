"""What a retrieval with the network would be worth."""

from collections.abc import Callable, Sequence
from itertools import chain

import torch
from torch import Tensor

from xmir_cli.errors import ModelError
from xmir_cli.labels import parse_labels
from xmir_cli.metrics.ranking import Measures
from xmir_cli.metrics.relevance import LabelledVectors
from xmir_cli.metrics.retrieval import leave_one_out, warn_of_ties
from xmir_cli.training.examples import Example
from xmir_cli.training.ranks import ALONE, Ranks
from xmir_cli.training.views import Views

VALIDATION_NUMBERS = ("map", "p_at_1", "p_at_5")
BY_PATIENT = "map_excluding_same_patient"
_MEASURES = Measures((1, 5))


def validate(
    feed: Views,
    examples: Sequence[Example],
    advance: Callable[[int], None] = lambda _: None,
    ranks: Ranks = ALONE,
    by_patient: bool = False,
) -> dict[str, float | None]:
    """mAP, P@1 and P@5, each image asked about among all others; None without any match to find.

    With `by_patient` the mAP without the images of the query's own patient as well, None where no
    patient is known.
    Where the network no longer tells images apart, the share of tied pairs as well. `advance` is
    told how many images more passed the network. Each rank embeds some of the batches, which are
    the same for any number of them, and the first one alone knows the numbers.
    """
    if not examples:
        return dict.fromkeys((*VALIDATION_NUMBERS, *([BY_PATIENT] if by_patient else [])))
    feed.embedder.network.eval()
    vectors = _embed(feed, examples, advance, ranks)
    if not ranks.leads:
        return {}
    _refuse_broken(examples, vectors)
    labels = [example.label for example in examples]
    patients = [example.patient if by_patient else None for example in examples]
    found = leave_one_out(LabelledVectors(vectors.numpy(), labels, patients), _MEASURES)
    scores, others = found.scores, found.other_groups
    means = scores.micro()
    apart = {BY_PATIENT: others.micro().get("map") if others else None} if by_patient else {}
    tied = {} if warn_of_ties(scores) is None else {"tied_pairs": scores.tied}
    return {**{name: means.get(name) for name in VALIDATION_NUMBERS}, **apart, **tied}


def check_embeds(feed: Views, examples: Sequence[Example]) -> None:
    """Raise ModelError for a network that has no embedding of the first of the examples."""
    feed.embedder.network.eval()
    _refuse_broken(examples[:1], _embed(feed, examples[:1], lambda _: None, ALONE))


def _refuse_broken(examples: Sequence[Example], vectors: Tensor) -> None:
    for example, vector in zip(examples, vectors, strict=True):
        if not vector.isfinite().all():
            raise ModelError(
                f"{example.name}: its embedding is NaN or infinite", "Lower `learning_rate`."
            )


def can_rank(examples: Sequence[Example]) -> bool:
    """Whether any image has a match among the others that is of another patient, or of none."""
    patients: dict[str, set[str]] = {}
    for place, example in enumerate(examples):
        owner = str(place) if example.patient is None else f"patient {example.patient}"
        for label in parse_labels(example.label):
            patients.setdefault(label, set()).add(owner)
    return any(len(owners) > 1 for owners in patients.values())


def _embed(
    feed: Views, examples: Sequence[Example], advance: Callable[[int], None], ranks: Ranks
) -> Tensor:
    """Unit embeddings [N, D] of all examples, in their order."""
    size = ranks.first(feed.embedder.batch)  # a rank may have halved its own
    own = ranks.own([examples[start : start + size] for start in range(0, len(examples), size)])
    made = []
    for batch in feed.load_plain(list(chain(*own)), size):
        made.append(feed.embedder.embed(batch, len(examples)))
        advance(len(batch) * ranks.size)
    return torch.cat(list(ranks.merge(made)))
