"""What a folder of open_clip says of itself in `open_clip_config.json`, read as data."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from xmir_cli.errors import ModelError
from xmir_cli.model.folders import OPEN_CLIP_CONFIG, Folder
from xmir_cli.model.network import triple
from xmir_cli.wire.model import Preprocessing
from xmir_cli.wire.ranges import LARGEST_INPUT, Triple, check_mean, check_std, read_whole

_NO_PART = {"timm_model_pretrained", "hf_model_pretrained", "output_tokens", "patch_dropout"}
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")
_VIEWS = {"shortest": "crop", "longest": "pad", "squash": "squash"}
# what open_clip takes where a folder does not say it
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class TowerDescription:
    """Both towers of a folder as open_clip's own settings, and how pictures are prepared."""

    dim: int  # of an embedding
    vision: Mapping[str, object]
    text: Mapping[str, object]
    quick_gelu: bool
    recipe: Preprocessing
    unsaid: tuple[str, ...]  # of mean and std, what the folder does not say

    @property
    def vision_made_as(self) -> str:
        """What beside its tensors makes the image tower."""
        return json.dumps([self.dim, _deciding(self.vision), self.quick_gelu], sort_keys=True)

    @property
    def text_made_as(self) -> str:
        """What beside its tensors makes the text tower."""
        return json.dumps([self.dim, _deciding(self.text), self.quick_gelu], sort_keys=True)


def _deciding(settings: Mapping[str, object]) -> dict[str, object]:
    """The settings without those that decide no embedding."""
    return {key: value for key, value in settings.items() if key not in _NO_PART}


def read_description(folder: Folder) -> TowerDescription:
    """What the folder says; raises ModelError for what open_clip would not take either."""
    data = folder.read_json(OPEN_CLIP_CONFIG)
    try:
        config = cast("dict[str, object]", data["model_cfg"])
        vision, text = (
            dict(cast("Mapping[str, object]", config[name])) for name in ("vision_cfg", "text_cfg")
        )
        said = cast("dict[str, object]", data.get("preprocess_cfg") or {})
        return TowerDescription(
            read_whole("embed_dim", config["embed_dim"], 1 << 16),
            vision,
            text,
            bool(config.get("quick_gelu", False)),
            _recipe(said.get("size") or vision.get("image_size", 224), said),
            tuple(key for key in ("mean", "std") if not said.get(key)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ModelError(
            f"{folder.name}: {OPEN_CLIP_CONFIG} does not describe a model of open_clip ({reason})"
        ) from None


def missing_package(name: str, error: ModuleNotFoundError) -> ModelError:
    """What to say where open_clip, or what its text towers take from transformers, is missing."""
    if (error.name or "").partition(".")[0] == "transformers":
        return ModelError(f"{name}: needs the package transformers", "pip install 'xmir[hf]'")
    return ModelError(f"{name}: needs the package open_clip_torch", "pip install 'xmir[clip]'")


def _recipe(size: object, said: Mapping[str, object]) -> Preprocessing:
    """The preprocessing; raises TypeError or ValueError for what xmir has none for."""
    side = read_whole("image_size", _side(size), LARGEST_INPUT)
    mode = said.get("resize_mode") or "shortest"
    if mode not in _VIEWS:
        raise ValueError(f"resize_mode: expected {', '.join(_VIEWS)}, found {str(mode)[:40]!r}")
    if said.get("fill_color"):
        raise ValueError("fill_color: pictures are padded with black alone")
    return Preprocessing(
        input_size=side,
        resize=side,
        interpolation="bilinear" if said.get("interpolation") == "bilinear" else "bicubic",
        mean=check_mean(_three(said.get("mean") or _MEAN)),
        std=check_std(_three(said.get("std") or _STD)),
        view=_VIEWS[str(mode)],
        cut="down" if mode == "longest" else "round",
    )


def _side(size: object) -> object:
    """The side of the square; raises ValueError for a picture that is none."""
    if not isinstance(size, list):
        return size
    if len(size) != 2 or size[0] != size[1]:
        raise ValueError(f"image_size: expected a square, found {size}")
    return size[0]


def _three(value: object) -> Triple:
    """One number a channel, of three or of one."""
    return triple(cast("list[float]", value if isinstance(value, list | tuple) else [value] * 3))
