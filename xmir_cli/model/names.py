"""Names of networks, known without importing the libraries that build them."""

import importlib.util
import re
from pathlib import Path

# how the names of torchvision's networks start that xmir can split into features and head
TORCHVISION_FAMILIES = (
    "densenet",
    "resnet",
    "resnext",
    "wide_resnet",
    "efficientnet",
    "mobilenet_v3",
    "convnext",
    "vit",
)
_REGISTERED = re.compile(r"^@register_model\(\)\n(?:(?!def ).*\n)*?def (\w+)\(", re.MULTILINE)


def torchvision_names() -> list[str]:
    """The networks of the installed torchvision that xmir knows, read from its source text."""
    spec = importlib.util.find_spec("torchvision")
    folders = [] if spec is None else spec.submodule_search_locations or []
    files = [file for folder in folders for file in Path(folder, "models").glob("*.py")]
    names = (name for file in files for name in _REGISTERED.findall(file.read_text("utf-8")))
    return sorted(name for name in names if name.startswith(TORCHVISION_FAMILIES))
