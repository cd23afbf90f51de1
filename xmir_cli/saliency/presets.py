"""Settings that belong together, by name: those of the X-MIR paper's methods."""

from collections.abc import Iterable, Mapping
from typing import Literal

Preset = Literal["paper"]

# as the paper's released code; what the text leaves open is told where each setting is
PAPER: Mapping[str, Mapping[str, str]] = {
    "activation": {"bias": "drop", "clip": "pair"},
    "attention": {"tuple": "pair", "variant": "paper"},
    "occlusion": {
        "window_size": "24",
        "stride": "5",
        "grid": "paper",
        "distance": "euclidean",
        "clip_windows": "true",
        "fill": "gray",
    },
}


def preset_settings(preset: Preset | None, methods: Iterable[str]) -> dict[str, str]:
    """The settings, as they would be typed, that a preset gives to methods.

    Methods that the paper does not have keep their defaults.
    """
    if preset is None:
        return {}
    return {name: text for each in methods for name, text in PAPER.get(each, {}).items()}
