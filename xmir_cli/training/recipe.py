"""How a network is trained: the settings of a run, and those that belong together by name.

`DEFAULT` is what nobody has to ask for. `PAPER` is the recipe of the X-MIR paper, section 3.3, to
the letter: batches of 16 images of each of 3 classes, batch-all triplet loss with a margin of 0.2,
Adam with a learning rate of 1e-4 and no weight decay, 20 epochs; the last epoch is kept. It stays
as it is when the default changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from xmir_cli.errors import SettingError
from xmir_cli.training.schedule import Schedule

RecipeName = Literal["paper"]
Keep = Literal["last", "best"]
Sampler = Literal["smallest", "all"]
LossName = Literal["triplet", "supcon", "multi-similarity", "proxy-anchor"]
MARGIN = 0.2  # of the triplet loss
LEAST_STEPS, LEAST_EPOCHS = 80, 5  # of a run whose length nobody has said


@dataclass(frozen=True)
class Augmentation:
    """What is varied."""

    random_resized_crop: bool = False  # else the centre crop of the evaluation
    flip: bool = True  # left and right, one time in two; mirrors hearts
    shift: bool = False  # the evaluation's square lies anywhere in the resized picture


@dataclass(frozen=True)
class Settings:
    """What decides the result of a training run, beside its data and its first weights."""

    epochs: int | None = 20  # None: as many as `LEAST_STEPS` and `LEAST_EPOCHS` ask for
    steps: int | None = None  # the run ends after so many, in whichever epoch; None: `epochs` tell
    per_class: int = 16
    classes_per_batch: int | None = None  # None: all
    sampler: Sampler = "smallest"  # when an epoch ends: with the smallest class, or all images
    loss: LossName = "triplet"
    margin: float = MARGIN
    attention_loss: float = 0.0  # its weight beside the loss; 0: it is not computed
    learning_rate: float = 1e-4
    head_learning_rate: float | None = None  # of the head's weights; None: the same
    schedule: Schedule = "constant"
    augmentation: Augmentation = field(default_factory=Augmentation)
    freeze_batchnorm: bool = False
    freeze_layers: int | None = 0  # None: as `settle_freezing` says
    keep: Keep = "last"  # the epoch whose weights are kept; best: by the validation
    patience: int | None = None  # epochs without a better one, after which the run ends
    seed: int = 0


DEFAULT = Settings(
    epochs=None,
    sampler="all",
    learning_rate=3e-4,
    schedule="cosine",
    augmentation=Augmentation(shift=True),
    freeze_layers=None,
)
PAPER = Settings(
    epochs=20,
    steps=None,
    per_class=16,
    classes_per_batch=None,
    sampler="smallest",
    loss="triplet",
    margin=0.2,
    attention_loss=0.0,
    learning_rate=1e-4,
    head_learning_rate=None,
    schedule="constant",
    augmentation=Augmentation(random_resized_crop=False, flip=True),
    freeze_batchnorm=False,
    freeze_layers=0,
    keep="last",
    patience=None,
)
RECIPES: Mapping[RecipeName | None, Settings] = {None: DEFAULT, "paper": PAPER}

# what settings were before they existed: a run that has them so is asked as it was then
BEFORE: Mapping[str, object] = {
    "steps": None,
    "sampler": "smallest",
    "loss": "triplet",
    "attention_loss": 0.0,
    "head_learning_rate": None,
    "schedule": "constant",
    "keep": "last",
    "patience": None,
}


def class_count(given: str) -> int | None:
    """Classes in a batch, None for all; raises SettingError for anything but `all` and numbers."""
    if given == "all":
        return None
    if not given.isdecimal() or int(given) < 2:
        raise SettingError("classes_per_batch", f"expected all or a number from 2, found {given}")
    return int(given)
