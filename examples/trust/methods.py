"""The rows of the table: every method of `xmir saliency`, some of them with settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field

WINDOWS = {"window_size": "16", "stride": "8"}  # of 80 pixels


@dataclass(frozen=True)
class Variant:
    """A method, its settings, and what else `xmir saliency` is asked for."""

    method: str
    settings: Mapping[str, str] = field(default_factory=dict)
    center: bool = False


METHODS = {
    "activation": Variant("activation"),
    "activation --center": Variant("activation", center=True),
    "activation --layer 10x10": Variant("activation", {"layer": "10x10"}),
    "activation --layer 20x20": Variant("activation", {"layer": "20x20"}),
    "activation --path direct": Variant("activation", {"path": "direct"}),
    "bilrp": Variant("bilrp"),
    "attention": Variant("attention"),
    "gradcam": Variant("gradcam"),
    "weight-transfer": Variant("weight-transfer"),
    "occlusion, gray": Variant("occlusion", WINDOWS),
    "occlusion, black": Variant("occlusion", WINDOWS | {"fill": "black"}),
    "rise": Variant("rise", {"masks": "100"}),
    "integrated-gradients": Variant("integrated-gradients", {"path_steps": "16"}),
    "rollout": Variant("rollout"),
    "edges": Variant("edges"),
    "center": Variant("center"),
    "random": Variant("random"),
}
