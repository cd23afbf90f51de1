"""The text towers of folders of transformers (extra `hf`): CLIP, SigLIP and SigLIP 2."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from xmir_cli.errors import ModelError, reason_of
from xmir_cli.model.folders import CONFIG, Folder
from xmir_cli.model.shards import read_folder_tensors
from xmir_cli.model.text_tower import TextTower, fill_tower
from xmir_cli.model.tokenizers import Tokenizer, cut_off, load_tokenizer, say_files, tokenizer_files
from xmir_cli.model.transformers_settings import is_quantized, plain_settings
from xmir_cli.model.weights import hash_tensors

if TYPE_CHECKING:
    from transformers import PretrainedConfig

_NO_PART = {"architectures", "dtype", "torch_dtype", "transformers_version"}
_TEXT = "text_model."  # how the names of most of its tensors begin
_OF_TEXTS = ("text_", _TEXT)


def has_text_tower(folder: Folder) -> bool:
    """Whether the folder's model has one."""
    return folder.read_json(CONFIG).get("model_type") in {"clip", "siglip", "siglip2"}


def hash_text(folder: Folder) -> str:
    """SHA-256 over all that makes the text tower; raises ModelError where something is missing."""
    files, whole = tokenizer_files(folder), plain_settings(folder.read_json(CONFIG))
    said = {key: whole.get(key) for key in ("model_type", "projection_dim", "text_config")}
    text = {k: v for k, v in read_folder_tensors(folder).items() if k.startswith(_OF_TEXTS)}
    return hash_tensors(text, json.dumps(said, sort_keys=True) + say_files(files))


def load_text_tower(folder: Folder) -> TextTower:
    """The text tower of a folder that has one, alone; raises ModelError when it cannot be had."""
    files, whole = tokenizer_files(folder), folder.read_json(CONFIG)
    if is_quantized(whole):
        raise ModelError(f"{folder.name}: its weights are quantized, which xmir does not read")
    described = plain_settings(whole)
    family = str(described["model_type"])
    try:
        config, build = _classes(family, described)
        network = build(config)
    except ModuleNotFoundError:
        raise ModelError(f"{folder.name}: needs transformers", "pip install 'xmir[hf]'") from None
    except ModelError:  # a description of too large a network
        raise
    except Exception as error:  # noqa: BLE001 # whatever the library makes of the description
        reason = reason_of(error)
        raise ModelError(f"{folder.name}: its text tower cannot be built ({reason})") from None
    fill_tower(network, _tensors(folder, network), folder.name)
    tokenizer, context = load_tokenizer(folder), int(config.max_position_embeddings)
    padding = "longest" if family == "clip" else "max_length"  # as each was trained

    def tokenize(prompts: Sequence[str]) -> Mapping[str, Tensor]:
        found: Mapping[str, Tensor] = tokenizer(
            list(prompts), padding=padding, truncation=True, max_length=context, return_tensors="pt"
        )
        return found

    def encode(inputs: Mapping[str, Tensor]) -> Tensor:
        found = network(**inputs)
        raw: Tensor = found.text_embeds if family == "clip" else found.pooler_output
        return raw

    own = Tokenizer(tokenize, cut_off(tokenizer, context), files)
    said = {key: value for key, value in config.to_diff_dict().items() if key not in _NO_PART}
    made_as = json.dumps([family, said], sort_keys=True, default=str)
    return TextTower(folder.name, network, encode, own, made_as)


def _classes(
    family: str, described: dict[str, object]
) -> "tuple[PretrainedConfig, Callable[[PretrainedConfig], nn.Module]]":
    """The description of the text tower alone, and what builds it."""
    import transformers as library

    if family == "clip":
        whole = library.CLIPConfig.from_dict(described)
        whole.text_config.projection_dim = whole.projection_dim
        return whole.text_config, library.CLIPTextModelWithProjection
    if family == "siglip":
        return library.SiglipConfig.from_dict(described).text_config, library.SiglipTextModel
    return library.Siglip2Config.from_dict(described).text_config, library.Siglip2TextModel


def _tensors(folder: Folder, network: nn.Module) -> dict[str, Tensor]:
    """Those of the text tower by its own names, which some versions begin with the tower's."""
    found = read_folder_tensors(folder)
    text = {key: tensor for key, tensor in found.items() if key.startswith(_OF_TEXTS)}
    bare = not any(key.startswith(_TEXT) for key in network.state_dict())
    return {key.removeprefix(_TEXT) if bare else key: tensor for key, tensor in text.items()}
