"""`xmir.epoch/1`: one epoch of training."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import NUMBER, RANK, WHOLE, Plot, key


@dataclass(frozen=True, eq=False, kw_only=True)
class EpochRecord:
    """What an epoch of training gave."""

    NAME: ClassVar = "xmir.epoch/1"
    WRITTEN_BY: ClassVar = "train"
    PLOTS: ClassVar = (
        Plot("epoch", ("loss", "attention_loss")),
        Plot("epoch", ("violating_fraction",)),
        Plot("epoch", ("map", "map_excluding_same_patient", "p_at_1", "p_at_5")),
        Plot("epoch", ("learning_rate",)),
    )

    record: Record
    epoch: int | None = key(RANK, "its number, from 1")
    steps: int | None = key(WHOLE, "training steps since the run began")
    loss: float | None = key(NUMBER, "mean loss over the batches, of the loss that was chosen")
    attention_loss: float | None = key(
        NUMBER, "mean attention loss over the batches", when="--attention-loss"
    )
    violating_fraction: float | None = key(
        NUMBER, "share of the triplets whose negative is not farther than the positive by --margin"
    )
    map: float | None = key(NUMBER, "mAP of the validation rows; null without any")
    p_at_1: float | None = key(NUMBER, "precision at 1 of the validation rows; null without any")
    p_at_5: float | None = key(NUMBER, "precision at 5 of the validation rows; null without any")
    map_excluding_same_patient: float | None = key(
        NUMBER,
        "mAP of the validation rows, where images of the query's own patient do not count: by it, "
        "or by map where it is null, the best epoch is chosen; null where no patient is known",
        when="--keep best",
    )
    tied_pairs: float | None = key(
        NUMBER,
        "share of the pairs of a relevant validation image and another that are equally similar "
        "to the query; the numbers are means over the orders of such ties",
        when="more than 1 %",
    )
    learning_rate: float | None = key(
        NUMBER, "the learning rate in the middle of the epoch", when="--schedule cosine"
    )
    seconds: float | None = key(NUMBER, "time of the epoch with its validation")
    images_per_second: float | None = key(NUMBER, "training images a second")
