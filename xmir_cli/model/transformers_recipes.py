"""Preprocessing as a folder of transformers says it: `preprocessor_config.json`.

The library's own class of image processors fills in what the file leaves out. A factor other than
1/255 is the same as another mean and deviation.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from xmir_cli.errors import ModelError, reason_of
from xmir_cli.model.folders import Folder
from xmir_cli.model.network import triple
from xmir_cli.model.transformers_configs import Vision, side_of
from xmir_cli.model.transformers_quiet import quiet
from xmir_cli.model.transformers_sizes import find_sizes
from xmir_cli.wire.model import Preprocessing
from xmir_cli.wire.ranges import (
    LARGEST_INPUT,
    LARGEST_RESIZE,
    Triple,
    check_mean,
    check_std,
    read_whole,
)

_FILES = ("preprocessor_config.json", "processor_config.json")
_SAYS = {  # keys of which a file has one, if it says anything of images
    *("image_processor_type", "feature_extractor_type", "size", "crop_size", "image_mean"),
    *("image_std", "rescale_factor", "resample", "max_num_patches"),
}
_SAMPLING = {1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}  # Pillow's numbers
_FOLLOWED = {"do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb"}
_NO_STEP = {"do_reduce_labels"}  # of pictures of labels
_NULL_IS_UNSAID = {"resample", "crop_pct"}  # numbers that the class has to have
_IMAGENET = Preprocessing()
_COLOURS = "One number or three as image_mean, and above 0 as image_std and as rescale_factor,"


def read_recipe(folder: Folder, vision: Vision) -> tuple[Preprocessing, str, tuple[str, ...]]:
    """How the folder prepares images, the file that says so, and what is not done as there.

    Raises ModelError for what makes no square of a picture.
    """
    file, told = _read(folder)
    kind, odd = _processor(told, vision)
    if not file:
        kind, told = _assumed(kind, vision)
    where = f"{folder.name}: {file or 'its recipe'}"
    with _followable(where, "What transformers itself writes"):
        told = _fill_in(kind, told, vision)
        odd += [f"its {key} is not followed" for key in told if _is_ignored(key, told[key])]
        recipe = _translate(kind, told, odd, where)
    return recipe, file, tuple(odd)


def find_unsaid(folder: Folder) -> tuple[str, ...]:
    """What of the recipe a folder's file leaves to its class, by xmir's words."""
    file, told = _read(folder)
    if not file:
        return ()
    parts = {"size": ("size", "crop_size", "max_num_patches"), "interpolation": ("resample",)}
    if told.get("do_normalize") is not False:
        parts |= {"mean": ("image_mean",), "std": ("image_std",)}
    return tuple(word for word, keys in parts.items() if all(told.get(key) is None for key in keys))


@contextmanager
def _followable(where: str, what: str) -> Iterator[None]:
    """While it lasts, whatever fails ends in ModelError, which says what can be followed."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # noqa: BLE001 # of the library's class, or of what is no number
        reason = reason_of(error)
        raise ModelError(
            f"{where}: xmir cannot prepare images so ({reason})", f"{what} can be followed."
        ) from None


def _read(folder: Folder) -> tuple[str, dict[str, object]]:
    """The file that says how images are prepared, and what it says; two times nothing.

    As the library does, it takes what is in one of several parts before a file of its own.
    """
    told = {file: folder.read_json(file) for file in _FILES if folder.has(file)}
    for file in reversed(_FILES):
        inner = told.get(file, {}).get("image_processor")
        if isinstance(inner, Mapping):
            return file, dict(inner)
    for file, found in told.items():
        if any(key in _SAYS or key.startswith("do_") for key in found):
            return file, found
    return "", {}


def _assumed(kind: str, vision: Vision) -> tuple[str, dict[str, object]]:
    """The usual way for such a network: the whole picture as large as it was made for."""
    told: dict[str, object] = {}
    if vision.family.imagenet:
        told = {"image_mean": _IMAGENET.mean, "image_std": _IMAGENET.std}
    side = side_of(vision)
    if side is None or vision.family.patches:
        return kind, told
    plain = "ViTImageProcessor" if kind == "ConvNextImageProcessor" else kind
    return plain, told | {"size": {"height": side, "width": side}, "do_center_crop": False}


def _processor(told: Mapping[str, object], vision: Vision) -> tuple[str, list[str]]:
    """The class that prepares images, by its name now, and what is to be said of that."""
    own = vision.family.processor
    name = str(told.get("image_processor_type") or told.get("feature_extractor_type") or own)
    now = re.sub(r"(FeatureExtractor|ImageProcessor(Fast|Pil)?)$", "ImageProcessor", name)
    if re.fullmatch(r"[A-Za-z0-9]+ImageProcessor", now) and _prepares_images(now):
        return now, []
    return own, [f"its image processor, {name[:60]}, is not known; its values are read as {own}'s"]


def _prepares_images(name: str) -> bool:
    """Whether a class of that name in the library prepares images by itself."""
    import transformers
    from transformers.image_processing_utils import BaseImageProcessor

    found = getattr(transformers, name, None)
    return (
        isinstance(found, type)
        and issubclass(found, BaseImageProcessor)
        and found is not BaseImageProcessor
    )


def _fill_in(kind: str, told: Mapping[str, object], vision: Vision) -> dict[str, object]:
    """What the file says and, where it says nothing, what its class does."""
    import transformers

    plain = {
        key: value
        for key, value in told.items()
        if key != "auto_map"
        and not key.startswith("_")
        and not (value is None and key in _NULL_IS_UNSAID)
    }
    with quiet():
        filled: dict[str, object] = getattr(transformers, kind).from_dict(plain).to_dict()
    if kind == "Siglip2ImageProcessor":
        filled["patch_size"] = vision.config.patch_size
    return filled


def _is_ignored(key: str, value: object) -> bool:
    return key.startswith("do_") and bool(value) and key not in _FOLLOWED | _NO_STEP


def _translate(kind: str, told: Mapping[str, object], odd: list[str], where: str) -> Preprocessing:
    """The same as xmir says it; raises ModelError. `odd` gets what is not quite the same."""
    with _followable(where, f"Sizes that make squares of at most {LARGEST_INPUT} pixels"):
        size, resize, view = find_sizes(kind, told, odd)
        read_whole("size", size, LARGEST_INPUT)
        read_whole("size", resize, LARGEST_RESIZE)
    with _followable(where, "Pillow's number of an interpolation as resample"):
        sampling = _SAMPLING.get(int(told.get("resample", 2)))  # type: ignore[call-overload] # an enumeration's number
    if sampling is None:
        odd.append("its interpolation, nearest, is bilinear here")
    if kind == "DINOv3ViTImageProcessor":
        odd.append("resized greys are rounded to whole ones; its processor keeps their fractions")
    with _followable(where, _COLOURS):
        mean, std = _normalisation(told)
        check_mean(mean)
        check_std(std)
    return Preprocessing(
        input_size=size,
        resize=resize,
        interpolation=sampling or "bilinear",
        mean=mean,
        std=std,
        view=view,
        cut="down" if view == "crop" or resize != size else "round",
    )


def _normalisation(told: Mapping[str, object]) -> tuple[Triple, Triple]:
    """Mean and deviation of values in [0, 1] that do what factor, mean and deviation do."""
    factor = float(str(told["rescale_factor"])) if told.get("do_rescale") else 1.0
    shift = 1.0 if told.get("rescale_offset") else 0.0
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if told.get("do_normalize"):
        mean, std = _three(told["image_mean"]), _three(told["image_std"])
    if not factor > 0:
        raise ValueError(f"rescale_factor {factor:g}")
    if abs(factor * 255 - 1) < 1e-6 and not shift:  # 1/255, as it is written
        return mean, std
    return (
        triple([(each + shift) / (255 * factor) for each in mean]),
        triple([each / (255 * factor) for each in std]),
    )


def _three(values: object) -> Triple:
    if isinstance(values, int | float):
        return triple([values] * 3)
    if not isinstance(values, list | tuple) or len(values) not in {1, 3}:
        raise TypeError(f"mean or std {values}")
    return triple(values * 3 if len(values) == 1 else values)
