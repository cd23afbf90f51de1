"""Tiny models of images and words, written by the libraries themselves into folders."""

import json

import torch

TEXT = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
VISION = {"image_size": 32, "layers": 2, "width": 16, "head_width": 8, "patch_size": 8}
TIMM = {"timm_model_pretrained": False, "image_size": 160, "timm_proj": "linear"}
POOLER = {"attentional_pool": True, "attn_pooler_queries": 5, "attn_pooler_heads": 2}
SIGLIP = {"no_causal_mask": True, "proj_bias": True, "pool_type": "last"}
TOWERS = {  # by kind: settings of the image tower, of the text tower, of the whole
    "class token": (VISION, TEXT, {}),
    "mean": ({**VISION, "pool_type": "avg", "final_ln_after_pool": True}, TEXT, {}),
    "QuickGELU": ({**VISION, "no_ln_pre": True}, TEXT, {"quick_gelu": True}),
    "attentional pool": (
        {**VISION, **POOLER, "output_tokens": True},
        {**TEXT, "embed_cls": True, "output_tokens": True},
        {"multimodal_cfg": {**TEXT, "attn_pooler_heads": 2}, "custom_text": True},
    ),
    "ResNet": (
        {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 16},
        TEXT,
        {},
    ),
    "BiomedCLIP": ({**TIMM, "timm_model_name": "test_vit", "timm_pool": ""}, TEXT, {}),
    "SigLIP": (
        {**TIMM, "timm_model_name": "test_vit4", "timm_pool": "map", "timm_proj": "none"},
        {**TEXT, **SIGLIP},
        {"embed_dim": 96, "custom_text": True, "init_logit_bias": -10},
    ),
    "timm mean": (
        {**TIMM, "timm_model_name": "test_resnet", "timm_pool": "avg"},
        TEXT,
        {"custom_text": True},
    ),
    "timm classifier": (
        {**TIMM, "timm_model_name": "test_vit", "timm_pool": "token", "timm_proj": ""},
        TEXT,
        {"custom_text": True},
    ),
    "timm MLP": (
        {**TIMM, "timm_model_name": "test_convnext", "timm_pool": "avg", "timm_proj": "mlp"},
        TEXT,
        {"custom_text": True},
    ),
}
SAID = {"mean": [0.5] * 3, "std": [0.25] * 3}


def write_folder(kind, folder, **said):
    """A model of open_clip with random weights, and its folder as open_clip writes it."""
    from open_clip.coca_model import CoCa
    from open_clip.model import CLIP, CustomTextCLIP
    from safetensors.torch import save_file

    vision, text, more = TOWERS[kind]
    config = {"embed_dim": 8, "vision_cfg": dict(vision), "text_cfg": dict(text), **more}
    settings = {key: value for key, value in config.items() if key != "custom_text"}
    whole = CustomTextCLIP if "custom_text" in config else CLIP
    torch.manual_seed(1)
    model = (CoCa if "multimodal_cfg" in config else whole)(**json.loads(json.dumps(settings)))
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):  # else some add nothing
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
    described = {"model_cfg": config, "preprocess_cfg": {**SAID, **said}}
    folder.mkdir(exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps(described))
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / "open_clip_model.safetensors")
    return model.eval()


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "left", "right", "opacity", "effusion", "a", "of"]
NARROW = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
WORDED = {
    **NARROW,
    "vocab_size": len(WORDS),
    "max_position_embeddings": 12,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "pad_token_id": 0,
}
SEEN = {**NARROW, "image_size": 32, "patch_size": 8}


def write_tokenizer(folder):
    """A tokenizer of ten words, as transformers writes it."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, "[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=inner, **names).save_pretrained(folder)


def write_transformers(family, folder):
    """A model of transformers of images and words with random weights, in its folder."""
    import transformers

    name = {"clip": "CLIP", "siglip": "Siglip", "siglip2": "Siglip2"}[family]
    seen = {**SEEN, "num_patches": 16} if family == "siglip2" else SEEN
    more = {"projection_dim": 8} if family == "clip" else {}
    config = getattr(transformers, f"{name}Config")(text_config=WORDED, vision_config=seen, **more)
    torch.manual_seed(2)
    model = getattr(transformers, f"{name}Model")(config).eval()
    model.save_pretrained(folder)
    write_tokenizer(folder)
    return model


def write_biomed(folder):
    """BiomedCLIP's layout: a text tower of transformers in a folder of open_clip."""
    from open_clip.model import CustomTextCLIP
    from safetensors.torch import save_file
    from transformers import BertConfig

    folder.mkdir(exist_ok=True)
    BertConfig(**{**WORDED, "max_position_embeddings": 20}).save_pretrained(folder)
    write_tokenizer(folder)
    text = {"hf_model_pretrained": False, "hf_proj_type": "mlp", "context_length": 12}
    text |= {"hf_model_name": str(folder), "hf_pooler_type": "cls_last_hidden_state_pooler"}
    config = {"embed_dim": 8, "vision_cfg": TOWERS["BiomedCLIP"][0], "text_cfg": text}
    torch.manual_seed(3)
    model = CustomTextCLIP(**config).eval()
    text |= {"hf_model_name": "microsoft/some-bert", "hf_tokenizer_name": "microsoft/some-bert"}
    described = {"model_cfg": config, "preprocess_cfg": SAID}
    (folder / "open_clip_config.json").write_text(json.dumps(described))
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return model


SIDES = ["[UNK]", "left", "right", "lung", "both"]


def write_sides(folder):
    """A model whose answer is known: the words left and right, and the brightness of either side.

    An image becomes (brightness of its left half, of its right half) at length 1; a text what its
    first word says, left (1, 0) and right (0, 1).
    """
    from open_clip.model import CustomTextCLIP
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vision = {"image_size": 32, "patch_size": 8, "layers": 1, "width": 12, "head_width": 6}
    vision |= {"mlp_ratio": 0.25, "pool_type": "avg", "no_ln_pre": True}
    text = {"context_length": 6, "vocab_size": 5, "width": 4, "heads": 2, "layers": 1}
    text |= {"pool_type": "first", "hf_tokenizer_name": "none/none"}
    model = CustomTextCLIP(embed_dim=2, vision_cfg=vision, text_cfg=text).eval()
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if "ln_" not in name and not name.startswith("logit"):
                tensor.zero_()  # so that blocks add nothing
        _see_sides(model.visual)
        two = torch.cat([torch.eye(2), -torch.eye(2)])  # [4, 2]: of mean zero, as the norm wants it
        model.text.text_projection.copy_(two)
        for word, sides in {"left": (1.0, 0.0), "right": (0.0, 1.0), "both": (1.0, 1.0)}.items():
            model.text.token_embedding.weight[SIDES.index(word)] = two @ torch.tensor(sides)
    folder.mkdir(exist_ok=True)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, _weights(folder))
    described = {
        "model_cfg": {"embed_dim": 2, "vision_cfg": vision, "text_cfg": text, "custom_text": True},
        "preprocess_cfg": {"mean": [1e-6] * 3, "std": [1.0] * 3},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(described))
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(SIDES)}, "[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=inner, **dict.fromkeys(["unk_token", "pad_token"], "[UNK]")
    ).save_pretrained(folder)
    return model


def _see_sides(visual):
    """Channels b, l, r, c, minus the same: brightness, on the left, on the right, a large constant.

    All come in pairs of mean zero, and norms only scale, for one is large. The block adds the
    brightness of a patch to its side.
    """
    bright, is_left, is_right, constant, left, right = range(6)
    large, steep, minus = 100.0, 200.0, 6
    visual.conv1.weight[bright], visual.conv1.weight[bright + minus] = 1 / 192, -1 / 192
    for patch in range(16):
        side = is_left if patch % 4 < 2 else is_right
        for channel, value in ((side, 1.0), (constant, large)):
            visual.positional_embedding[1 + patch, channel] = value
            visual.positional_embedding[1 + patch, channel + minus] = -value
    (block,) = visual.transformer.resblocks
    for unit, other in enumerate((is_right, is_left)):  # GELU(steep * (b - 2 * other)) / steep
        block.mlp.c_fc.weight[unit, bright] = steep * large / 6**0.5
        block.mlp.c_fc.weight[unit, other] = -2 * steep * large / 6**0.5
        block.mlp.c_proj.weight[left + unit, unit] = 1 / steep
        block.mlp.c_proj.weight[left + unit + minus, unit] = -1 / steep
    visual.proj[left, 0] = visual.proj[right, 1] = 1.0


def _weights(folder):
    return folder / "open_clip_model.safetensors"
