"""What a model is: the recipe of its input and all that it takes to build its network again."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import cast

from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError
from xmir_cli.wire.records import Record

INTERPOLATIONS = ("bilinear", "bicubic")
JPEGS = ("full", "reduced")
VIEWS = ("crop", "pad", "squash")
DEEP, BITS_LIMIT = 9, 32  # of pictures whose greys need a scale: fewer are for the eye
SPARE = 2  # reduced pictures are still so many times as large as what they are resized to


@dataclass(frozen=True)
class Preprocessing:
    """From a picture to the model space: resize, crop the centre, scale to [0, 1], normalise.

    `view` says which side `resize` is: crop, the shorter; pad, the longer, so that the whole is
    seen with black beside it; squash, both, whatever the picture's shape.
    """

    input_size: int = 224  # pixels, side of the square that the network sees
    resize: int = 256  # pixels, a side of the picture before the square is cut from its centre
    interpolation: str = "bilinear"  # bilinear | bicubic
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # of values in [0, 1]
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    window: str = "auto"  # of deep greys: auto | bits:N | minmax | pLOW,HIGH | CENTRE,WIDTH
    jpeg: str = "full"  # full | reduced: decoded at a part of its size where that will do
    view: str = "crop"  # crop | pad | squash

    @property
    def enough(self) -> int | None:
        """Pixels that the shorter side of a JPEG must keep when it is decoded; None for all."""
        return SPARE * self.resize if self.jpeg == "reduced" else None


@dataclass(frozen=True)
class ModelSpec:
    """All that it takes to build the same network again; rides in every artefact and record."""

    architecture: str  # densenet121, timm:NAME, FILE.py:FUNCTION, package.module:FUNCTION
    weights: str  # imagenet, random:SEED, or a checkpoint's path
    head: int | None = None  # size of the linear head, None for pooled features
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    weights_sha256: str = ""  # over the loaded tensors: names, shapes, values

    def to_json(self) -> Record:
        """The spec as plain data, as JSON has it, for metadata, manifests and records."""
        recipe = asdict(self.preprocessing)
        if self.preprocessing.view == "crop":  # as before there was a choice, byte by byte
            del recipe["view"]
        plain = {name: list(x) if isinstance(x, tuple) else x for name, x in recipe.items()}
        return {**asdict(self), "preprocessing": plain}

    @staticmethod
    def from_json(data: object, where: str) -> "ModelSpec":
        """The spec that `to_json` made; raises DataError naming `where` when it is none."""
        if not isinstance(data, Mapping):
            found = "nothing" if data is None else type(data).__name__
            raise DataError(f"{where}: model: expected an object, found {found}")
        try:
            parts = cast("dict[str, object]", data["preprocessing"])
            preprocessing = Preprocessing(
                input_size=_integer(parts["input_size"]),
                resize=_integer(parts["resize"]),
                interpolation=_one_of(parts["interpolation"], INTERPOLATIONS),
                mean=_triple(parts["mean"]),
                std=_triple(parts["std"]),
                # once there was none of these
                window=check_window(str(parts.get("window", "auto"))),
                jpeg=_one_of(parts.get("jpeg", "full"), JPEGS),
                view=_one_of(parts.get("view", "crop"), VIEWS),
            )
            head = data["head"]
            return ModelSpec(
                architecture=str(data["architecture"]),
                weights=str(data["weights"]),
                head=None if head is None else _integer(head),
                preprocessing=preprocessing,
                weights_sha256=str(data["weights_sha256"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{where}: model: not the description of a model ({error})") from None

    def same_embedding(self, other: "ModelSpec") -> bool:
        """Whether both give the same vectors: tensors, head, preprocessing; not where they lie."""
        return (self.weights_sha256, self.head, self.preprocessing) == (
            other.weights_sha256,
            other.head,
            other.preprocessing,
        )


def check_window(window: str) -> str:
    """The window, when it is one of `Preprocessing.window`; else ValueError."""
    bits = re.fullmatch(r"bits:(\d{1,2})", window)
    if bits is not None:
        if not DEEP <= int(bits[1]) <= BITS_LIMIT:
            raise ValueError(f"expected {DEEP} to {BITS_LIMIT} bits")
    elif window not in {"auto", "minmax"}:
        number = r"(-?\d+(?:\.\d+)?)"
        match = re.fullmatch(rf"(p?){number},{number}", window)
        if match is None:
            raise ValueError("expected auto, minmax, CENTRE,WIDTH, pLOW,HIGH or bits:N")
        first, second = float(match[2]), float(match[3])
        if match[1] and not 0 <= first < second <= 100:
            raise ValueError("expected percentiles LOW < HIGH in 0..100")
        if not match[1] and second <= 0:
            raise ValueError("expected a width above 0")
    return window


def _one_of(value: object, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"expected {' or '.join(allowed)}, found {value!r}")
    return str(value)


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"expected a whole number, found {value!r}")
    return value


def _triple(value: object) -> tuple[float, float, float]:
    first, second, third = cast("list[float]", value)
    return float(first), float(second), float(third)


def need_model(model: ModelSpec | None) -> ModelSpec:
    """The model of a record that cannot be used without one; raises ItemError."""
    if model is None:
        raise ItemError(Cause.BAD_RECORD, "model: expected an object, found nothing")
    return model
