"""Tiny networks of every layout, written by the libraries themselves into folders."""

from pathlib import Path
from types import SimpleNamespace

import torch

VIT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
}
DINO = {key: value for key, value in VIT.items() if key != "intermediate_size"}
TEXT = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 50,
    "projection_size": 32,
}
SWIN = {
    "image_size": 32,
    "patch_size": 4,
    "embed_dim": 8,
    "depths": [1, 1],
    "num_heads": [2, 2],
    "window_size": 4,
}
STAGES = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "image_size": 32}
PATCHES = {key: value for key, value in VIT.items() if key != "image_size"} | {"num_patches": 16}

# name: the class that writes the folder, the class of its settings, the settings
LAYOUTS = {
    "vit": ("ViTModel", "ViTConfig", VIT),
    "vit-classifier": ("ViTForImageClassification", "ViTConfig", VIT),
    "dinov2": ("Dinov2Model", "Dinov2Config", DINO),
    "dinov2-classifier": ("Dinov2ForImageClassification", "Dinov2Config", DINO),
    "dinov2-registers": ("Dinov2WithRegistersModel", "Dinov2WithRegistersConfig", DINO),
    "dinov3": ("DINOv3ViTModel", "DINOv3ViTConfig", {**VIT, "num_register_tokens": 4}),
    "dinov3-convnext": ("DINOv3ConvNextModel", "DINOv3ConvNextConfig", STAGES),
    "siglip": ("SiglipModel", "SiglipConfig", {"vision_config": VIT, "text_config": TEXT}),
    "siglip-vision": ("SiglipVisionModel", "SiglipVisionConfig", VIT),
    "siglip-classifier": (
        "SiglipForImageClassification",
        "SiglipConfig",
        {"vision_config": VIT, "text_config": TEXT},
    ),
    "siglip2": ("Siglip2Model", "Siglip2Config", {"vision_config": PATCHES, "text_config": TEXT}),
    "clip": (
        "CLIPModel",
        "CLIPConfig",
        {"vision_config": VIT, "text_config": TEXT, "projection_dim": 16},
    ),
    "clip-vision": ("CLIPVisionModel", "CLIPVisionConfig", VIT),
    "clip-projected": (
        "CLIPVisionModelWithProjection",
        "CLIPVisionConfig",
        {**VIT, "projection_dim": 16},
    ),
    "clip-classifier": (
        "CLIPForImageClassification",
        "CLIPConfig",
        {"vision_config": VIT, "text_config": TEXT},
    ),
    "swin": ("SwinModel", "SwinConfig", SWIN),
    "swin-classifier": ("SwinForImageClassification", "SwinConfig", SWIN),
    "swinv2": ("Swinv2Model", "Swinv2Config", SWIN),
    "convnext": ("ConvNextModel", "ConvNextConfig", STAGES),
    "convnext-classifier": ("ConvNextForImageClassification", "ConvNextConfig", STAGES),
    "convnextv2": ("ConvNextV2Model", "ConvNextV2Config", STAGES),
    "beit": ("BeitModel", "BeitConfig", {**VIT, "use_relative_position_bias": True}),
    "beit-mean": ("BeitForImageClassification", "BeitConfig", {**VIT, "use_mean_pooling": True}),
    "deit": ("DeiTModel", "DeiTConfig", VIT),
    "deit-distilled": ("DeiTForImageClassificationWithTeacher", "DeiTConfig", VIT),
    "data2vec": ("Data2VecVisionModel", "Data2VecVisionConfig", VIT),
    "mae": ("ViTMAEModel", "ViTMAEConfig", {**VIT, "mask_ratio": 0.0}),
    "msn": ("ViTMSNModel", "ViTMSNConfig", VIT),
}


def write(name: str, folder: Path) -> Path:
    """The folder, in which transformers has written a network with random weights."""
    library = make(name)
    library.save_pretrained(folder)
    return folder


def make(name: str) -> torch.nn.Module:
    """The same network as the library builds it, in eval mode."""
    import transformers

    writer, settings, values = LAYOUTS[name]
    torch.manual_seed(len(name))
    network = getattr(transformers, writer)(getattr(transformers, settings)(**values))
    for parameter in network.parameters():  # what starts as 0 or 1 would hide a mistake
        torch.nn.init.normal_(parameter, std=0.2)
    return network.eval()


def embed(name: str, network: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """What the library itself gives for an image, or gives to its classifier."""
    writer = LAYOUTS[name][0]
    given = {"pixel_values": images}
    if name == "siglip2":
        given = as_patches(images, 8)
    if name == "mae":
        given["noise"] = torch.arange(16.0).expand(len(images), -1)  # the order of the patches
    if writer in {"CLIPModel", "SiglipModel", "Siglip2Model"}:
        found = network.get_image_features(**given)
        return getattr(found, "pooler_output", found)
    if "ForImageClassification" in writer:
        seen = []
        layer = network.cls_classifier if "Teacher" in writer else network.classifier
        layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        network(**given)
        return seen[0]
    found = network(**given)
    if writer == "CLIPVisionModelWithProjection":
        return found.image_embeds
    pooled = getattr(found, "pooler_output", None)
    return found.last_hidden_state[:, 0] if pooled is None else pooled


def as_patches(images: torch.Tensor, side: int) -> dict[str, torch.Tensor]:
    """A picture's patches, row by row, as SigLIP 2 takes them."""
    rows, columns = images.shape[2] // side, images.shape[3] // side
    patches = [
        torch.stack(
            [
                image[:, side * row : side * row + side, side * column : side * column + side]
                .permute(1, 2, 0)
                .flatten()
                for row in range(rows)
                for column in range(columns)
            ]
        )
        for image in images
    ]
    return {
        "pixel_values": torch.stack(patches),
        "pixel_attention_mask": torch.ones(len(images), rows * columns, dtype=torch.long),
        "spatial_shapes": torch.tensor([[rows, columns]] * len(images)),
    }


def load(folder: Path, **choice: object) -> SimpleNamespace:
    """The network that xmir makes of a folder, in eval mode, and its description."""
    from xmir_cli.model.choice import ModelChoice
    from xmir_cli.model.loader import load_network, resolve_model

    spec = resolve_model(ModelChoice(architecture=str(folder), **choice))
    return SimpleNamespace(network=load_network(spec).eval(), spec=spec)
