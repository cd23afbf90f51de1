"""The extras of xmir, and which packages of them are installed."""

import re
from importlib.metadata import PackageNotFoundError, version

from xmir_cli.wire.records import Record

NEEDED = ("torch", "torchvision", "numpy", "pillow", "pyarrow", "hnswlib")  # whatever the extras
EXTRAS = {  # as pyproject.toml has them
    "timm": ("timm>=1.0.31",),
    "hf": ("transformers>=5.24", "huggingface-hub>=1.0"),
    "clip": ("open_clip_torch>=3.0",),
    "postgres": ("psycopg[binary]>=3.2", "pgvector>=0.3"),
    "ray": ("ray[data]>=2.60",),
    "qdrant": ("qdrant-client>=1.16",),
    "report": ("jinja2>=3.1",),
    "atlas": ("scikit-learn>=1.6", "umap-learn>=0.5.9"),
    "cluster": ("scikit-learn>=1.6",),
    "concept": ("scikit-learn>=1.6",),
    "notebook": ("ipykernel>=6.29", "nbclient>=0.10"),
    "dicom": (
        "pydicom>=3.0.2",
        "pylibjpeg>=2.1",
        "pylibjpeg-libjpeg>=2.2",
        "pylibjpeg-openjpeg>=2.3",
    ),
    "bench": (
        "captum>=0.7",
        "faiss-cpu>=1.8",
        "pytorch-metric-learning>=2.5",
        "quantus>=0.5.3",
        "timm>=1.0.31",
        "xaitk-saliency>=0.13",
    ),
    "dev": (
        "jinja2>=3.1",
        "ruff==0.17.*",
        "mypy>=2.0",
        "import-linter>=2.1",
        "pytest>=8.3",
        "pytest-xdist>=3.8",
        "hypothesis>=6.100",
        "safetensors>=0.4.3",
        "scikit-learn>=1.5",
        "selenium>=4.20",
        "tifffile>=2024.1.30",
        "timm>=1.0.31",
        "pydicom>=3.0.2",
        "pylibjpeg>=2.1",
        "pylibjpeg-libjpeg>=2.2",
        "pylibjpeg-openjpeg>=2.3",
    ),
}
_NAME = re.compile(r"[\w-]+")
_NUMBERS = re.compile(r"\d+(?:\.\d+)*")


def find_version(package: str) -> str | None:
    """The installed version of a package, by its metadata; None without it."""
    try:
        found: str | None = version(package)  # None where the metadata are damaged
    except PackageNotFoundError:
        return None
    return found


def find_extras() -> Record:
    """Of each extra its packages with their versions, and the command that brings what lacks."""
    return {name: _find(name, needed) for name, needed in EXTRAS.items()}


def _find(name: str, needed: tuple[str, ...]) -> Record:
    packages: Record = {}
    lacking, old = False, False
    for requirement in needed:
        match = _NAME.match(requirement)
        assert match is not None
        found = packages[match[0]] = find_version(match[0])
        lacking = lacking or found is None
        old = old or (found is not None and _parts(found) < _parts(requirement[match.end() :]))
    fine = not lacking and not old
    # without --upgrade pip keeps an extra's packages only where they are new enough
    command = None if fine else f"pip install 'xmir[{name}]'"
    state = "installed" if fine else "missing" if lacking else "too old"
    return {"state": state, "packages": packages, "install": command}


def _parts(text: str) -> list[int]:
    """The release in a version or in what is required of it."""
    match = _NUMBERS.search(text)
    return [] if match is None else [int(part) for part in match[0].split(".")]
