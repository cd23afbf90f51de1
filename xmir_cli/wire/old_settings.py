"""Settings under the names that earlier versions gave them.

Records carry them: one that was written then means the same today.
"""

from collections.abc import Mapping

RENAMED: Mapping[str, Mapping[str, str]] = {
    "occlusion": {
        "window": "window_size",
        "tolerance": "similarity_tolerance",
        "clip": "clip_windows",
    },
    "integrated-gradients": {"baseline": "path_baseline", "steps": "path_steps"},
    "gradcam": {"target": "gradient_of"},
    "attention": {"form": "tuple", "preset": "variant"},
}
_PROTOCOL: Mapping[str, str] = {"preset": "blur"}  # of causal-metric
_VALUES: Mapping[str, Mapping[object, bool]] = {"clip_windows": {"mask": True, "none": False}}


def renew_settings(method: str, recorded: Mapping[str, object]) -> dict[str, object]:
    """A record's settings of a method under the names, and with the values, of today."""
    names = RENAMED.get(method, {})
    renewed: dict[str, object] = {}
    for name, value in recorded.items():
        new = names.get(name, name)
        is_old = new != name and isinstance(value, str)
        renewed[new] = _VALUES.get(new, {}).get(value, value) if is_old else value
    return renewed


def renew_protocol(recorded: Mapping[str, object]) -> dict[str, object]:
    """How a record of causal-metric was scored, under the names of today."""
    return {_PROTOCOL.get(name, name): value for name, value in recorded.items()}


def find_new_name(method: str, name: str, text: str) -> str | None:
    """What a method calls today what earlier versions called `name`; None: it never did.

    Where the values were others too, only for one of those: another method may have the name.
    """
    new = RENAMED.get(method, {}).get(name)
    return new if new is not None and text in _VALUES.get(new, {text: True}) else None
