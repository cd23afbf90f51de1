"""What of a description of transformers is left out, whichever of its networks it describes."""

from collections.abc import Mapping

LEFT_OUT = {  # what names code, kernels, another network or file, or changes what comes out
    *("auto_map", "attn_implementation", "experts_implementation", "use_kernels", "kernel_config"),
    *("dtype", "torch_dtype", "transformers_weights", "return_dict", "output_attentions"),
    *("output_hidden_states", "torchscript", "gradient_checkpointing", "custom_pipelines"),
    *("name_or_path", "per_layer_config", "fusion_config", "distributed_config", "sub_configs"),
    *("quantization_config", "compression_config", "backbone", "backbone_kwargs"),
    *("backbone_config", "use_timm_backbone", "use_pretrained_backbone"),
}


def plain_settings(described: Mapping[str, object]) -> dict[str, object]:
    """A description without that and without what is private, at every depth."""
    return {
        key: _plain(value)
        for key, value in described.items()
        if key not in LEFT_OUT and not key.startswith("_")
    }


def is_quantized(described: Mapping[str, object]) -> bool:
    """Whether a description, or one within it, is of weights that are quantized."""
    inner = [value for value in described.values() if isinstance(value, Mapping)]
    return bool(described.get("quantization_config")) or any(map(is_quantized, inner))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return plain_settings(value)
    return [_plain(each) for each in value] if isinstance(value, list) else value
