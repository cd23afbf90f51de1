"""The wire: what travels between the commands, one JSON object a line, and the model's identity."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import cast

from xmir_cli.errors import DataError

Record = dict[str, object]

RETRIEVAL = "xmir.retrieval/1"
SALIENCY = "xmir.saliency/1"
CAUSAL = "xmir.causal/1"
DIFFERENCE = "xmir.difference/1"
EPOCH = "xmir.epoch/1"
ARTIFACT = "xmir.artifact/1"

# columns of an item that its file tells, unless a manifest does
TAG_COLUMNS = ("modality", "view_position", "burned_in_annotation", "patient")  # DICOM's
DECODED = "decoded"  # what had to be done to the picture
PATIENT_HASH = "hmac-"  # starts a patient that is the keyed hash of a PatientID


_LARGEST = 1e6  # pixels of a side
INTERPOLATIONS = ("bilinear", "bicubic")
JPEGS = ("full", "reduced")
SPARE = 2  # reduced pictures are still so many times as large as what they are resized to


@dataclass(frozen=True)
class Preprocessing:
    """From a picture to the model space: resize, crop the centre, scale to [0, 1], normalise."""

    input_size: int = 224  # pixels, side of the square crop
    resize: int = 256  # pixels, the shorter side before the crop
    interpolation: str = "bilinear"  # bilinear | bicubic
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # of values in [0, 1]
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    window: str = "auto"  # of DICOM greys: auto | minmax | CENTRE,WIDTH | pLOW,HIGH
    jpeg: str = "full"  # full | reduced: decoded at a part of its size where that will do

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
        """The spec as plain data for metadata, manifests and records."""
        return asdict(self)

    @staticmethod
    def from_json(data: object, where: str) -> "ModelSpec":
        """The spec that `to_json` made; raises DataError naming `where` when it is none."""
        if not isinstance(data, Mapping):
            raise DataError(f"{where}: model: expected an object, found {type(data).__name__}")
        try:
            parts = cast("dict[str, object]", data["preprocessing"])
            preprocessing = Preprocessing(
                input_size=_integer(parts["input_size"]),
                resize=_integer(parts["resize"]),
                interpolation=_one_of(parts["interpolation"], INTERPOLATIONS),
                mean=_triple(parts["mean"]),
                std=_triple(parts["std"]),
                # once there was none of these two
                window=check_window(str(parts.get("window", "auto"))),
                jpeg=_one_of(parts.get("jpeg", "full"), JPEGS),
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
    """The window, when it is one: auto, minmax, CENTRE,WIDTH or pLOW,HIGH; else ValueError."""
    if window not in {"auto", "minmax"}:
        number = r"(-?\d+(?:\.\d+)?)"
        match = re.fullmatch(rf"(p?){number},{number}", window)
        if match is None:
            raise ValueError("expected auto, minmax, CENTRE,WIDTH or pLOW,HIGH")
        first, second = float(match[2]), float(match[3])
        if match[1] and not 0 <= first < second <= 100:
            raise ValueError("expected percentiles LOW < HIGH in 0..100")
        if not match[1] and second < 1:
            raise ValueError("expected a width of at least 1")
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


def text(record: Mapping[str, object], key: str, where: str) -> str:
    """The string under `key`; raises DataError naming `where` (source, line) without one."""
    value = record.get(key)
    if not isinstance(value, str):
        raise DataError(f"{where}: {key}: expected a string, found {_kind(value)}")
    return value


def number(record: Mapping[str, object], key: str, where: str) -> float:
    """The number under `key`; raises DataError naming `where` when it is not there."""
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{where}: {key}: expected a number, found {_kind(value)}")
    return float(value)


def match_boxes(record: Mapping[str, object], image: str, where: str) -> list[list[float]]:
    """The regions of a record's matches in its `query` or `retrieved` image, strongest first."""
    details = record.get("details")
    matches = details.get("matches", []) if isinstance(details, dict) else []
    if not isinstance(matches, list) or not all(isinstance(match, dict) for match in matches):
        raise DataError(f"{where}: matches: expected a list of regions, found {_kind(matches)}")
    return [box(match, image, where) for match in matches]


def box(record: Mapping[str, object], key: str, where: str) -> list[float]:
    """The box [left, top, width, height] under `key`, in pixels; raises DataError without one."""
    value = record.get(key)
    whole = isinstance(value, list) and len(value) == 4 and all(map(_is_pixels, value))
    if isinstance(value, list) and whole and min(value[2:]) >= 0:
        return [float(side) for side in value]
    raise DataError(f"{where}: {key}: expected a box of four numbers, found {_kind(value)}")


def _is_pixels(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) < _LARGEST


def window_of(record: Mapping[str, object], where: str) -> str:
    """The window of DICOM greys that the record's model sees them by; auto without a model."""
    model = record.get("model")
    return "auto" if model is None else ModelSpec.from_json(model, where).preprocessing.window


def _kind(value: object) -> str:
    return "nothing" if value is None else type(value).__name__
