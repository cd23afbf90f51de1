"""The text towers of open_clip's folders (extra `clip`): its own transformer, or one of `hf`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor, nn

from xmir_cli.errors import ModelError, reason_of
from xmir_cli.model.folders import CONFIG, Folder
from xmir_cli.model.hub import find_snapshot
from xmir_cli.model.open_clip_folder import (
    WEIGHTS,
    TowerDescription,
    missing_package,
    read_description,
)
from xmir_cli.model.shards import read_folder_tensors
from xmir_cli.model.text_tower import TextTower, fill_tower
from xmir_cli.model.tokenizers import Tokenizer, cut_off, load_tokenizer, say_files, tokenizer_files
from xmir_cli.model.transformers_settings import plain_settings
from xmir_cli.model.weights import hash_tensors
from xmir_cli.wire.ranges import read_whole
from xmir_cli.workarounds.open_clip import build_text_tower

_LONGEST = 1 << 16  # tokens of a context
_NO_PART = {"architectures", "transformers_version"}
_TEXT = "text."  # how the names of its tensors begin, but in models of CLIP's first form
_FIRST_FORM = (
    "text_projection",
    "positional_embedding",
    "token_embedding.",
    "transformer.",
    "ln_final.",
)


def has_text_tower(folder: Folder) -> bool:
    """Every model of open_clip has one."""
    return bool(read_description(folder).text)


def hash_text(folder: Folder) -> str:
    """SHA-256 over all that makes the text tower; raises ModelError where something is missing."""
    described = read_description(folder)
    hub_name = described.text.get("hf_model_name")
    config = _read_config(folder, str(hub_name)) if hub_name else None
    files = tokenizer_files(folder) if described.text.get("hf_tokenizer_name") else ()
    made_as = described.text_made_as + json.dumps(config, sort_keys=True)
    return hash_tensors(_tensors(folder), made_as + say_files(files))


def load_text_tower(folder: Folder) -> TextTower:
    """The text tower of a folder, alone; raises ModelError when it cannot be had."""
    described = read_description(folder)
    tokenizer = _tokenizer(folder, described)
    tensors = _tensors(folder)
    hub_name = described.text.get("hf_model_name")
    config = _read_config(folder, str(hub_name)) if hub_name else None
    network = _build(folder, described, config)
    _leave_pooler_out(network, tensors)
    fill_tower(network, tensors, folder.name)

    def encode(inputs: Mapping[str, Tensor]) -> Tensor:
        raw: Tensor = network(inputs["text"])
        return raw

    made_as = described.text_made_as + json.dumps(config, sort_keys=True)
    return TextTower(folder.name, network, encode, tokenizer, made_as)


def _tensors(folder: Folder) -> dict[str, Tensor]:
    """Those of the text tower, by its own names."""
    found = read_folder_tensors(folder, WEIGHTS)
    text = {key.removeprefix(_TEXT): found[key] for key in found if key.startswith(_TEXT)}
    return text or {key: found[key] for key in found if key.startswith(_FIRST_FORM)}


def _build(
    folder: Folder, described: TowerDescription, config: Mapping[str, object] | None
) -> nn.Module:
    """The tower with random weights; nothing is fetched for it, and no code of the folder runs."""
    settings = {**described.text, "output_tokens": False}
    try:
        if config is None:
            return build_text_tower(described.dim, settings, described.quick_gelu)
        return _build_encoder(config, settings, described.dim)
    except ModuleNotFoundError as error:
        raise missing_package(folder.name, error) from None
    except ModelError:  # a description of too large a network
        raise
    except Exception as error:  # noqa: BLE001 # whatever the library makes of the description
        reason = reason_of(error)
        raise ModelError(f"{folder.name}: its text tower cannot be built ({reason})") from None


def _build_encoder(
    config: Mapping[str, object], settings: Mapping[str, object], dim: int
) -> nn.Module:
    from open_clip.hf_configs import arch_dict
    from open_clip.hf_model import HFTextEncoder
    from transformers import AutoConfig

    if (kind := str(config["model_type"])) not in arch_dict:
        raise ValueError(f"{kind[:40]} is no network of texts that open_clip takes")
    network: nn.Module = HFTextEncoder(
        "",
        output_dim=dim,
        config=AutoConfig.for_model(**config),
        proj_type=settings.get("hf_proj_type", "mlp"),
        pooler_type=settings.get("hf_pooler_type", "mean_pooler"),
        output_tokens=False,
    )
    return network


def _read_config(folder: Folder, hub_name: str) -> Mapping[str, object]:
    """How the text tower of transformers is made: config.json, there or in the hub's cache."""
    for place in (folder.path, find_snapshot(hub_name)):
        if place is not None and (place / CONFIG).is_file():
            config = replace(folder, path=place).read_json(CONFIG)
            if "model_type" in config:
                kept = plain_settings(config)
                return {key: value for key, value in kept.items() if key not in _NO_PART}
    raise ModelError(
        f"{folder.name}: how its text tower {hub_name} is made stands in that model's {CONFIG}, "
        "which is neither in the folder nor in the hub's cache",
        f"Put it there, or fetch it once: hf download {hub_name} {CONFIG}",
    )


def _leave_pooler_out(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Without the pooler that transformers adds, where the folder has none."""
    inner = vars(network)["_modules"].get("transformer")
    pooled = any(key.startswith("transformer.pooler.") for key in tensors)
    if inner is not None and not pooled and "pooler" in inner._modules:
        inner.pooler = None


def _tokenizer(folder: Folder, described: TowerDescription) -> Tokenizer:
    """open_clip's own, or that of the folder's files cleaned and cut as open_clip does."""
    text = described.text
    said = text.get("tokenizer_kwargs") or {}
    if not isinstance(said, Mapping):
        raise ModelError(f"{folder.name}: tokenizer_kwargs: expected an object")
    kept = {key: value for key, value in said.items() if key in {"clean", "strip_sep_token"}}
    if odd := sorted(said.keys() - kept.keys()):
        raise ModelError(f"{folder.name}: tokenizer_kwargs: {odd[0]} is not known here")
    try:
        context = read_whole("context_length", text.get("context_length", 77), _LONGEST)
        if text.get("hf_tokenizer_name"):
            return _of_files(folder, context, str(text.get("tokenizer_mode") or ""), kept)
        return _of_open_clip(context, kept)
    except ModuleNotFoundError as error:
        raise missing_package(folder.name, error) from None
    except (TypeError, ValueError, AttributeError, AssertionError) as error:
        raise ModelError(f"{folder.name}: its tokenizer cannot be made ({error})") from None


def _of_open_clip(context: int, settings: Mapping[str, object]) -> Tokenizer:
    from open_clip.tokenizer import SimpleTokenizer

    own = SimpleTokenizer(context_length=context, **settings)

    def tokenize(prompts: Sequence[str]) -> Mapping[str, Tensor]:
        return {"text": own(list(prompts))}

    def cut(prompts: Sequence[str]) -> list[int]:
        return [max(0, len(own.encode(each)) + 2 - context) for each in prompts]

    return Tokenizer(tokenize, cut)


def _of_files(folder: Folder, context: int, mode: str, settings: Mapping[str, object]) -> Tokenizer:
    from open_clip.tokenizer import HFTokenizer

    files = tokenizer_files(folder)
    inner = load_tokenizer(folder)  # first, for what it refuses
    own = HFTokenizer(
        str(folder.path),
        context_length=context,
        tokenizer_mode=mode,
        trust_remote_code=False,
        local_files_only=True,
        **settings,
    )

    def tokenize(prompts: Sequence[str]) -> Mapping[str, Tensor]:
        return {"text": own(list(prompts))}

    def cut(prompts: Sequence[str]) -> list[int]:
        return count([own.clean_fn(each) for each in prompts])

    count = cut_off(inner, context)
    return Tokenizer(tokenize, cut, files)
