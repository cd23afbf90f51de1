"""Which vision networks of transformers are known, and how each of them pools its tokens.

A new family is a row: the test beside it compares with the library's own forward.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """One of transformers' vision networks, whose trunk gives `last_hidden_state`.

    What it pools is `cls`, `mean` and `cls+mean`, as `pool` has them; `pooler` and `head`, layers
    of the library, see all tokens; `raw mean` leaves the last norm out.
    """

    model: str  # the trunk's class
    native: str  # how the library pools
    classified: str  # how it does before a classifier
    processor: str  # the class that prepares its images, where the folder says none
    prefixes: int = 1  # tokens before the patches; registers, which the config counts, follow
    interpolates: bool = False  # whether it must be asked to resample its positions
    stages: bool = False  # whether each stage halves the grid
    norm: str = ""  # the last norm, where the trunk leaves it to the pooling
    imagenet: bool = False  # whether those published are normalised as for ImageNet
    patches: bool = False  # whether it takes patches in the place of pictures
    map_norm: str = ""  # the norm after the pooling of a trunk that gives a map, no tokens
    rotary: bool = False  # whether it has no table of positions

    @property
    def any_shape(self) -> bool:
        """Whether it takes pictures of any shape, whatever it was made for."""
        return self.rotary or self.stages or bool(self.map_norm)


MASKED = "vit_mae"  # read as the ViT that its encoder is once nothing is hidden
FAMILIES: Mapping[str, Family] = {  # by the model_type of the vision network
    "vit": Family("ViTModel", "pooler", "cls", "ViTImageProcessor", interpolates=True),
    MASKED: Family("ViTModel", "cls", "cls", "ViTImageProcessor", interpolates=True, imagenet=True),
    "vit_msn": Family(
        "ViTMSNModel", "cls", "cls", "ViTImageProcessor", interpolates=True, imagenet=True
    ),
    "deit": Family(
        "DeiTModel",
        "pooler",
        "cls",
        "DeiTImageProcessor",
        prefixes=2,
        interpolates=True,
        imagenet=True,
    ),
    "beit": Family("BeitModel", "pooler", "pooler", "BeitImageProcessor", interpolates=True),
    "data2vec-vision": Family(
        "Data2VecVisionModel", "pooler", "pooler", "BeitImageProcessor", interpolates=True
    ),
    "dinov2": Family("Dinov2Model", "cls", "cls+mean", "BitImageProcessor", imagenet=True),
    "dinov2_with_registers": Family(
        "Dinov2WithRegistersModel", "cls", "cls+mean", "BitImageProcessor", imagenet=True
    ),
    "dinov3_vit": Family("DINOv3ViTModel", "cls", "cls", "DINOv3ViTImageProcessor", rotary=True),
    "dinov3_convnext": Family(
        "DINOv3ConvNextModel",
        "mean",
        "mean",
        "DINOv3ViTImageProcessor",
        prefixes=0,
        map_norm="layer_norm",
    ),
    "siglip_vision_model": Family(
        "SiglipVisionModel", "head", "mean", "SiglipImageProcessor", prefixes=0, interpolates=True
    ),
    "siglip2_vision_model": Family(
        "Siglip2VisionModel", "head", "mean", "Siglip2ImageProcessor", prefixes=0, patches=True
    ),
    "clip_vision_model": Family(
        "CLIPVisionModel",
        "cls",
        "raw mean",
        "CLIPImageProcessor",
        interpolates=True,
        norm="post_layernorm",
    ),
    "swin": Family(
        "SwinModel",
        "mean",
        "mean",
        "ViTImageProcessor",
        prefixes=0,
        interpolates=True,
        stages=True,
        imagenet=True,
    ),
    "swinv2": Family(
        "Swinv2Model",
        "mean",
        "mean",
        "ViTImageProcessor",
        prefixes=0,
        interpolates=True,
        stages=True,
        imagenet=True,
    ),
    "convnext": Family(
        "ConvNextModel",
        "mean",
        "mean",
        "ConvNextImageProcessor",
        prefixes=0,
        map_norm="layernorm",
        imagenet=True,
    ),
    "convnextv2": Family(
        "ConvNextV2Model",
        "mean",
        "mean",
        "ConvNextImageProcessor",
        prefixes=0,
        map_norm="layernorm",
        imagenet=True,
    ),
}
PROJECTED = {"clip"}  # models of two towers whose image embedding is projected
