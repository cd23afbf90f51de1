"""Which model is meant, before anything of it is built."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class ModelChoice:
    """One of xmir's checkpoints, or an architecture with weights; None leaves it to the default."""

    model: str | None = None  # path of a checkpoint, which says all but the recipe's overrides
    architecture: str | None = None
    weights: str | None = None  # imagenet, folder, random:SEED, or a file
    head: int | None = None  # size of the linear head to add
    input_size: int | None = None  # pixels
    mean: str | None = None  # one number or three with commas, of values in [0, 1]
    std: str | None = None
    window: str | None = None  # of grey values
    resize: int | None = None  # pixels
    view: str | None = None  # crop, pad or squash
    pool: str | None = None  # native, cls, mean or cls+mean

    @property
    def is_named(self) -> bool:
        """Whether it says which network, and not only how images are prepared."""
        return any(each is not None for each in (self.model, self.architecture, self.weights))

    @property
    def is_said(self) -> bool:
        """Whether it says anything."""
        return self != ModelChoice()

    @property
    def prepares(self) -> str:
        """The first flag that changes what becomes of an image; empty where none does."""
        flags = {
            "pool": self.pool,
            "input-size": self.input_size,
            "resize": self.resize,
            "view": self.view,
            "mean": self.mean,
            "std": self.std,
            "window": self.window,
        }
        return next((flag for flag, value in flags.items() if value is not None), "")


def choose_model(flags: object) -> ModelChoice:
    """The network and the recipe that a command's flags name: its fields are called as the parts.

    A command that trains has no `model`.
    """
    given = vars(flags)
    names = {field.name for field in fields(ModelChoice)} - {"model"}
    return ModelChoice(given.get("model"), **{name: given[name] for name in names})
