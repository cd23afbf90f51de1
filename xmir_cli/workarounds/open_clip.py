"""open_clip builds its models whole; a tower alone, and the middle of one, have private doors."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

if TYPE_CHECKING:
    from open_clip.transformer import VisionTransformer


def build_vision_tower(dim: int, settings: Mapping[str, object], quick_gelu: bool) -> nn.Module:
    """The image tower of a model of embeddings [dim], with random weights.

    Why: open_clip.create_model builds the text tower, too, which asks the hub for its description
    and takes most of the memory.
    Seen with: open_clip_torch 3.3.0
    Fails without: tests/extras/test_open_clip.py test_the_image_tower_is_built_alone
    """
    from open_clip.model import _build_vision_tower  # noqa: PLC0415 # an extra

    return cast("nn.Module", _build_vision_tower(dim, dict(settings), quick_gelu))


def build_text_tower(dim: int, settings: Mapping[str, object], quick_gelu: bool) -> nn.Module:
    """open_clip's own text tower of a model of embeddings [dim], with random weights.

    Why: as for the image tower, which is not needed to embed words.
    Seen with: open_clip_torch 3.3.0
    Fails without: tests/extras/test_texts.py test_texts_equal_the_librarys_own
    """
    from open_clip.model import _build_text_tower  # noqa: PLC0415 # an extra

    return cast("nn.Module", _build_text_tower(dim, dict(settings), quick_gelu))


def read_tokens(visual: "VisionTransformer", images: Tensor) -> Tensor:
    """The tokens [B, 1 + h*w, C] behind the last block, the class token first.

    Why: forward_intermediates gives them with what comes after, and no method without.
    Seen with: open_clip_torch 3.3.0
    Fails without: tests/extras/test_open_clip.py test_embeddings_equal_the_librarys_own
    """
    tokens: Tensor = visual.transformer(visual._embeds(images))
    return tokens


def pool_tokens(visual: "VisionTransformer", tokens: Tensor) -> Tensor:
    """The raw embedding [B, D] of such tokens, by whichever pooling the tower has.

    Why: the five orders of norm and pooling have no public method.
    Seen with: open_clip_torch 3.3.0
    Fails without: tests/extras/test_open_clip.py test_embeddings_equal_the_librarys_own
    """
    pooled: Tensor = visual._pool(tokens)[0]
    return pooled if visual.proj is None else pooled @ visual.proj
