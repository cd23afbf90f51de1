"""Colours of saliency values: a perceptually uniform map for size, a diverging one for sign."""

from collections.abc import Mapping

import numpy as np

# equally spaced anchors of the published maps; between them colours are interpolated linearly
_ANCHORS: Mapping[str, str] = {
    # bright at both ends, so that they are seen on dark lungs, bright bone and skin alike
    "embers": "8a1fb0 b5179e d6336c ed5a2c fb8b06 fcb913 fbe35a",
    "cold-warm": "0a5cff 1f7dff 46a0ff 7cc2ff b8e0ff f7f7f7 ffc9a8 ff9a6b ff6a3c fb3a24 e3122b",
    # inferno and viridis: van der Walt and Smith, public domain
    "inferno": "000004 1b0c42 4b0c6b 781c6d a52c60 cf4446 ed6925 fb9a06 f7d03c fcffa4",
    "viridis": "440154 482878 3e4a89 31688e 26828e 1f9e89 35b779 6dcd59 b4de2c fde725",
    # RdBu reversed: Brewer, colorbrewer2.org; its middle is zero
    "blue-red": "053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f",
}
COLORMAPS = tuple(_ANCHORS)
COLORS_BY_SIGN = ("embers", "cold-warm")  # of maps of one sign, and of both
_DIVERGING = ("cold-warm", "blue-red")


def is_diverging(name: str) -> bool:
    """Whether the map shows sign, with zero in its middle."""
    return name in _DIVERGING


def choose_colormap(saliency: np.ndarray) -> str:
    """The diverging map for values of both signs, else the sequential one."""
    return COLORS_BY_SIGN[bool(saliency.size) and float(saliency.min()) < 0]


def colors(values: np.ndarray, name: str) -> np.ndarray:
    """8-bit colours [..., 3] of values [...].

    A sequential map takes [0, 1], a diverging one [-1, 1]; what is outside is drawn as the end.
    """
    anchors = np.array([_rgb(code) for code in _ANCHORS[name].split()], dtype=np.float64)
    low = -1.0 if is_diverging(name) else 0.0
    position = (np.clip(values, low, 1.0) - low) / (1.0 - low) * (len(anchors) - 1)
    channels = [np.interp(position, np.arange(len(anchors)), channel) for channel in anchors.T]
    drawn: np.ndarray = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    return drawn


def scale(saliency: np.ndarray) -> float:
    """What full colour stands for: the largest absolute value, 1 for a map of zeros."""
    largest = float(np.abs(saliency).max(initial=0.0))
    return largest if largest > 0 else 1.0


def _rgb(code: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(code))
