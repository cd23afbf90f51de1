"""What a model is: the recipe of its input and all that it takes to build its network again."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import cast

from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError
from xmir_cli.wire.ranges import (
    LARGEST_GREY,
    LARGEST_HEAD,
    LARGEST_INPUT,
    LARGEST_RESIZE,
    Triple,
    check_mean,
    check_std,
    read_name,
    read_sha256,
    read_triple,
    read_weights,
    read_whole,
    read_word,
    refuse_unknown,
)
from xmir_cli.wire.records import Record

INTERPOLATIONS = ("bilinear", "bicubic", "box", "hamming", "lanczos")
JPEGS = ("full", "reduced")
VIEWS = ("crop", "pad", "squash")
CUTS = ("round", "down")
POOLS = ("native", "cls", "mean", "cls+mean")
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
    interpolation: str = "bilinear"  # one of INTERPOLATIONS, as Pillow does them
    mean: Triple = (0.485, 0.456, 0.406)  # of values in [0, 1]
    std: Triple = (0.229, 0.224, 0.225)
    window: str = "auto"  # of deep greys: auto | bits:N | minmax | pLOW,HIGH | CENTRE,WIDTH
    jpeg: str = "full"  # full | reduced: decoded at a part of its size where that will do
    view: str = "crop"  # crop | pad | squash
    cut: str = "round"  # round | down: half a pixel before the square, as libraries differ in it

    @property
    def enough(self) -> int | None:
        """Pixels that the shorter side of a JPEG must keep when it is decoded; None for all."""
        return SPARE * self.resize if self.jpeg == "reduced" else None


@dataclass(frozen=True)
class Whitening:
    """What an index makes of a network's unit embeddings before any are compared."""

    file: str  # the mean and the rows of the matrix, NumPy [d + 1, D]; it lies in the index
    sha256: str  # of that file


@dataclass(frozen=True)
class ModelSpec:
    """All that it takes to build the same network again; rides in every artefact and record."""

    architecture: str  # densenet121, timm:NAME, a folder, hf:ORG/NAME, FILE.py:FUNCTION ...
    weights: str  # imagenet, folder (the architecture's), random:SEED, or a checkpoint's path
    head: int | None = None  # size of the linear head, None for pooled features
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    weights_sha256: str = ""  # over the loaded tensors: names, shapes, values
    pool: str = "native"  # native | cls | mean | cls+mean: what of the tokens is the embedding
    words_sha256: str = ""  # over the text tower beside the network, where the folder has one
    whitening: Whitening | None = None  # that of an index, behind the network

    def to_json(self) -> Record:
        """The spec as plain data, as JSON has it, for metadata, manifests and records."""
        recipe = asdict(self.preprocessing)
        for name in ("view", "cut"):  # as before there was a choice, byte by byte
            if recipe[name] == vars(Preprocessing)[name]:
                del recipe[name]
        plain = {name: list(x) if isinstance(x, tuple) else x for name, x in recipe.items()}
        told = {**asdict(self), "preprocessing": plain}
        if self.pool == "native":  # as before there was a choice, too
            del told["pool"]
        if not self.words_sha256:
            del told["words_sha256"]
        if self.whitening is None:
            del told["whitening"]
        return told

    @staticmethod
    def from_json(data: object, where: str) -> "ModelSpec":
        """The spec that `to_json` made; raises DataError naming `where` when it is none."""
        if not isinstance(data, Mapping):
            found = "nothing" if data is None else type(data).__name__
            raise DataError(f"{where}: model: expected an object, found {found}")
        try:
            parts = cast("dict[str, object]", data["preprocessing"])
            refuse_unknown("preprocessing", parts, [each.name for each in fields(Preprocessing)])
            preprocessing = Preprocessing(
                input_size=read_whole("input_size", parts["input_size"], LARGEST_INPUT),
                resize=read_whole("resize", parts["resize"], LARGEST_RESIZE),
                interpolation=read_word(parts["interpolation"], INTERPOLATIONS),
                mean=check_mean(read_triple("mean", parts["mean"])),
                std=check_std(read_triple("std", parts["std"])),
                # once there was none of these
                window=check_window(str(parts.get("window", "auto"))),
                jpeg=read_word(parts.get("jpeg", "full"), JPEGS),
                view=read_word(parts.get("view", "crop"), VIEWS),
                cut=read_word(parts.get("cut", "round"), CUTS),
            )
            head = data["head"]
            return ModelSpec(
                architecture=read_name("architecture", data["architecture"]),
                weights=read_weights(data["weights"]),
                head=None if head is None else read_whole("head", head, LARGEST_HEAD),
                preprocessing=preprocessing,
                weights_sha256=read_sha256(data["weights_sha256"]),
                pool=read_word(data.get("pool", "native"), POOLS),
                words_sha256=read_sha256(data.get("words_sha256", "")),
                whitening=_read_whitening(data.get("whitening")),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{where}: model: not the description of a model ({error})") from None

    def same_embedding(self, other: "ModelSpec") -> bool:
        """Whether both give the same vectors: tensors, pooling, head, preprocessing; wherever."""
        return self._makes == other._makes

    @property
    def named(self) -> str:
        """A hash that tells networks apart: of the weights, or of a whitening, fitted on theirs."""
        return self.weights_sha256 if self.whitening is None else self.whitening.sha256

    @property
    def _makes(self) -> tuple[object, ...]:
        """All that decides about the vectors."""
        white = None if self.whitening is None else self.whitening.sha256
        return self.weights_sha256, self.head, self.preprocessing, self.pool, white


def _read_whitening(data: object) -> Whitening | None:
    """As `to_json` writes it; raises KeyError, TypeError or ValueError for what is none."""
    if data is None:
        return None
    if not isinstance(data, Mapping):
        raise TypeError("whitening: expected an object")
    return Whitening(read_name("whitening", data["file"]), read_sha256(data["sha256"]))


def check_window(window: str) -> str:
    """The window, when it is one of `Preprocessing.window`; else ValueError."""
    bits = re.fullmatch(r"bits:([0-9]{1,2})", window)
    if bits is not None:
        if not DEEP <= int(bits[1]) <= BITS_LIMIT:
            raise ValueError(f"expected {DEEP} to {BITS_LIMIT} bits")
    elif window not in {"auto", "minmax"}:
        number = r"(-?[0-9]+(?:\.[0-9]+)?)"
        match = re.fullmatch(rf"(p?){number},{number}", window)
        if match is None:
            raise ValueError("expected auto, minmax, CENTRE,WIDTH, pLOW,HIGH or bits:N")
        first, second = float(match[2]), float(match[3])
        if max(abs(first), abs(second)) > LARGEST_GREY:
            raise ValueError(f"expected numbers up to {LARGEST_GREY:g}")
        if match[1] and not 0 <= first < second <= 100:
            raise ValueError("expected percentiles LOW < HIGH in 0..100")
        if not match[1] and second <= 0:
            raise ValueError("expected a width above 0")
    return window


def need_model(model: ModelSpec | None) -> ModelSpec:
    """The model of a record that cannot be used without one; raises ItemError."""
    if model is None:
        raise ItemError(Cause.BAD_RECORD, "model: expected an object, found nothing")
    return model
