"""torchvision's networks, split into features and head under their own tensor names."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from urllib.error import URLError

import torch
from torch import Tensor, nn

from xmir_cli.errors import ModelError, SettingError
from xmir_cli.model.network import Architecture, download_failed, triple
from xmir_cli.model.pooling import TokenHead
from xmir_cli.model.sources import near_architectures
from xmir_cli.model.tokens import fold_tokens, unfold_tokens
from xmir_cli.wire.model import Preprocessing


def _library_model(name: str, settings: Mapping[str, int] | None = None) -> nn.Module:
    from torchvision.models import get_model

    model: nn.Module = get_model(name, weights=None, **(settings or {}))
    return model


def _preprocessing(name: str) -> Preprocessing:
    from torchvision.models import get_model_weights

    recipe = get_model_weights(name).DEFAULT.transforms()
    return Preprocessing(
        input_size=recipe.crop_size[0],
        resize=recipe.resize_size[0],
        interpolation=recipe.interpolation.value,
        mean=triple(recipe.mean),
        std=triple(recipe.std),
    )


def _sequence(modules: Mapping[str, nn.Module]) -> nn.Sequential:
    return nn.Sequential(OrderedDict(modules))


def _densenet(name: str, input_size: int | None) -> Architecture:
    del input_size
    model = _library_model(name)
    # torchvision applies the last ReLU in forward(), outside .features
    features = _sequence({"features": _child(model, "features"), "relu": nn.ReLU()})
    return Architecture(
        features,
        _width(model, "classifier"),
        _preprocessing(name),
        classifiers=("classifier.",),
    )


def _resnet(name: str, input_size: int | None) -> Architecture:
    del input_size
    model = _library_model(name)
    kept = {key: part for key, part in model.named_children() if key not in {"avgpool", "fc"}}
    return Architecture(
        _sequence(kept), _width(model, "fc"), _preprocessing(name), classifiers=("fc.",)
    )


def _convolutions(name: str, input_size: int | None) -> Architecture:
    """Networks that are features, average pooling, classifier: EfficientNet, MobileNetV3."""
    del input_size
    model = _library_model(name)
    features = _sequence({"features": _child(model, "features")})
    return Architecture(
        features,
        _width(model, "classifier"),
        _preprocessing(name),
        classifiers=("classifier.",),
    )


def _convnext(name: str, input_size: int | None) -> Architecture:
    del input_size
    model = _library_model(name)
    classifier = _child(model, "classifier")
    library_norm = _child(classifier, "0")  # LayerNorm2d on the pooled vector
    assert isinstance(library_norm, nn.LayerNorm)
    channels = _width(model, "classifier")
    norm = nn.LayerNorm(channels, eps=library_norm.eps)
    return Architecture(
        _sequence({"features": _child(model, "features")}),
        channels,
        _preprocessing(name),
        after=(norm,),
        names=(("classifier.0.", "head.after.0."), ("", "features.")),
        classifiers=("classifier.2.",),
    )


def _vit(name: str, input_size: int | None) -> Architecture:
    preprocessing = _preprocessing(name)
    size = preprocessing.input_size if input_size is None else input_size
    try:
        model = _library_model(name, {"image_size": size})
    except AssertionError:
        patch = name.rpartition("_")[2]
        raise SettingError(
            "input_size", f"expected a multiple of {name}'s patches, {patch}, found {size}"
        ) from None
    encoder = _child(model, "encoder")
    layers = list(_child(encoder, "layers").children())
    last = len(layers) - 1
    features = _ViTFeatures(model, layers[:-1])
    head = _ViTHead(layers[-1], _child(encoder, "ln"), _width(model, "heads"))
    names = (
        (f"encoder.layers.encoder_layer_{last}.", "head.block."),
        ("encoder.ln.", "head.norm."),
        ("encoder.layers.encoder_layer_", "features.blocks."),
        ("encoder.pos_embedding", "features.positions"),
        ("", "features."),
    )

    def adapt(state: dict[str, Tensor]) -> Mapping[str, Tensor]:
        """Positions of another input size, resampled."""
        from torchvision.models.vision_transformer import interpolate_embeddings

        patch = features.get_parameter("conv_proj.weight").shape[-1]  # pixels
        found: Mapping[str, Tensor] = interpolate_embeddings(size, patch, OrderedDict(state))
        return found

    return Architecture(
        features,
        _width(model, "heads"),
        preprocessing,
        head=head,
        names=names,
        classifiers=("heads.",),
        adapt=adapt,
    )


class _ViTFeatures(nn.Module):
    """Tokens before the last block, folded to a grid; the class token repeats in every cell.

    [B, 3, H, W] -> [B, 2C, h, w]: the first C channels are the patch tokens, the others the class
    token, so that the head is a function of the feature map alone.
    """

    def __init__(self, model: nn.Module, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.conv_proj = _child(model, "conv_proj")
        self.class_token = nn.Parameter(model.get_parameter("class_token").detach().clone())
        positions = model.get_parameter("encoder.pos_embedding")
        self.positions = nn.Parameter(positions.detach().clone())
        self.blocks = nn.Sequential(*blocks)

    def forward(self, images: Tensor) -> Tensor:
        patches: Tensor = self.conv_proj(images)  # [B, C, h, w]
        grid = patches.shape[2:]
        tokens = patches.flatten(2).transpose(1, 2)  # [B, n, C]
        first = self.class_token.expand(len(images), -1, -1)
        tokens = torch.cat([first, tokens], dim=1) + self.positions
        return fold_tokens(self.blocks(tokens), 1, (int(grid[0]), int(grid[1])))


class _ViTHead(TokenHead):
    """The last block and norm of a vision transformer; the class token is the embedding."""

    prefixes, has_class = 1, True

    def __init__(self, block: nn.Module, norm: nn.Module, width: int) -> None:
        super().__init__()
        self.block, self.norm, self.width = block, norm, width

    def forward(self, features: Tensor) -> Tensor:
        return self.tokens(features)[:, 0]

    def tokens(self, maps: Tensor) -> Tensor:
        tokens: Tensor = self.norm(self.block(unfold_tokens(maps, 1)))
        return tokens


def _child(module: nn.Module, name: str) -> nn.Module:
    return module.get_submodule(name)


def _width(model: nn.Module, classifier: str) -> int:
    """Channels of the pooled vector: what the classifier's first linear layer takes."""
    parts = _child(model, classifier).modules()
    return next(part.in_features for part in parts if isinstance(part, nn.Linear))


FAMILIES: dict[str, Callable[[str, int | None], Architecture]] = {
    "densenet": _densenet,
    "resnet": _resnet,
    "resnext": _resnet,
    "wide_resnet": _resnet,
    "efficientnet": _convolutions,
    "mobilenet_v3": _convolutions,
    "convnext": _convnext,
    "vit": _vit,
}


def build(name: str, input_size: int | None) -> Architecture:
    """The network; raises ModelError when torchvision has none of that name."""
    from torchvision.models import list_models

    if name not in list_models():
        alike = ", ".join(other for other in list_models() if other[:6] == name[:6])
        hint = near_architectures(name) or f"It has: {alike}."
        raise ModelError(f"{name}: torchvision has no such network", hint)
    return next(split for family, split in FAMILIES.items() if name.startswith(family))(
        name, input_size
    )


def pretrained(name: str) -> Mapping[str, Tensor]:
    """Torchvision's ImageNet weights; raises ModelError when they cannot be had."""
    from torchvision.models import get_model_weights

    weights = get_model_weights(name).DEFAULT
    try:
        state: Mapping[str, Tensor] = weights.get_state_dict(
            progress=False, check_hash=True, weights_only=True
        )
    except (URLError, OSError, RuntimeError) as error:
        raise download_failed(name, error) from None
    return state
