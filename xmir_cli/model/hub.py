"""`hf:ORG/NAME[@REVISION]`: a repository in the local cache of the hub, else on the hub itself.

The cache is read as it lies, `models--ORG--NAME/refs/REVISION` naming `snapshots/COMMIT`, and
needs no package. The hub is asked only for what the command line names, never for what data name.
Source: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
"""

import os
import re
from contextlib import suppress
from pathlib import Path

from xmir_cli.errors import ModelError
from xmir_cli.model.named import is_named

HUB = "hf:"
_NAME = re.compile(
    r"((?:[\w-][\w.-]*/)?[\w-][\w.-]*)(?:@([\w-][\w.-]*(?:/[\w-][\w.-]*)*))?", re.ASCII
)
_WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
_RECIPES = ("preprocessor_config.json", "processor_config.json")
_ALL = ".gitattributes"  # every repository has it, and no library asks for it alone
_WANTED = ("*.json", "*.safetensors", "*.txt", "*.model", _ALL)  # no pickle and no code


def hub_folder(name: str) -> Path:
    """Where the files of `hf:ORG/NAME[@REVISION]` lie; raises ModelError where they do not."""
    match = _NAME.fullmatch(name.removeprefix(HUB))
    if match is None:
        raise ModelError(f"{name}: expected hf:ORG/NAME or hf:ORG/NAME@REVISION")
    repository, revision = match[1], match[2] or "main"
    cached = _cached(repository, revision)
    whole = cached is not None and _is_whole(cached)
    # data that name a network say how its images are prepared
    if cached is not None and whole and not (is_named(name) and _lacks_recipe(cached)):
        return cached
    if not is_named(name):
        raise ModelError(
            f"{name}: not in the local cache of the hub, {cache_folder()}",
            "Data alone do not make xmir fetch a network. Fetch it once: "
            f"hf download {repository}{f' --revision {match[2]}' if match[2] else ''}",
        )
    lacking = f"without its {_RECIPES[0] if whole else 'weights'}" if cached is not None else "not"
    return _fetch(name, repository, revision, lacking)


def may_be_on_hub(name: str) -> bool:
    """Whether it looks like ORG/NAME."""
    return "/" in name and _NAME.fullmatch(name) is not None


def cache_folder() -> Path:
    """Where the hub's own client keeps what it has fetched."""
    if own := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(own).expanduser()
    above = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    home = os.environ.get("HF_HOME") or above / "huggingface"
    return Path(home).expanduser() / "hub"


def find_cached() -> list[str]:
    """`hf:ORG/NAME` of every repository of a network in the cache."""
    try:
        folders = sorted(cache_folder().glob("models--*/snapshots"))
    except OSError:
        return []
    names = [folder.parent.name.removeprefix("models--") for folder in folders]
    return [f"{HUB}{name.replace('--', '/', 1)}" for name in names]


def find_snapshot(repository: str) -> Path | None:
    """The cached files of ORG/NAME, which may be some of them; None where there are none."""
    match = _NAME.fullmatch(repository)
    return None if match is None else _cached(match[1], match[2] or "main")


def _cached(repository: str, revision: str) -> Path | None:
    """The snapshot of a revision: a branch or a tag by its name, or a commit."""
    folder = cache_folder() / f"models--{repository.replace('/', '--')}"
    commit = revision
    with suppress(OSError, UnicodeDecodeError):
        commit = (folder / "refs" / revision).read_text("ascii").strip()
    if not re.fullmatch(r"\w[\w.-]*", commit, re.ASCII):
        return None
    snapshot = folder / "snapshots" / commit
    return snapshot if snapshot.is_dir() else None


def _is_whole(snapshot: Path) -> bool:
    """Whether it has a description; its weights may be of a kind that is refused with a reason."""
    described = any((snapshot / name).exists() for name in ("config.json", "open_clip_config.json"))
    return described and any(
        next(snapshot.glob(pattern), None) for pattern in (*_WEIGHTS, "*.bin", "*.pt", "*.pth")
    )


def _lacks_recipe(snapshot: Path) -> bool:
    """Whether nobody has asked yet how images are prepared: who loads a network alone does not."""
    if any((snapshot / name).exists() for name in (*_RECIPES, _ALL, "open_clip_config.json")):
        return False
    if (snapshot.parents[1] / ".no_exist" / snapshot.name / _RECIPES[0]).exists():
        return False
    with suppress(OSError), (snapshot / "config.json").open("rb") as config:
        return b'"architecture"' not in config.read(1 << 20)  # timm's says it of itself
    return False


def _fetch(name: str, repository: str, revision: str, lacking: str) -> Path:
    """Its files, fetched; `lacking` says what the cache has of them."""
    where = f"{lacking} in the local cache of the hub, {cache_folder()}"
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError:
        raise ModelError(
            f"{name}: {where}; to fetch it needs the package huggingface_hub",
            "pip install 'xmir[hf]'",
        ) from None
    try:
        found: str = snapshot_download(
            repository, revision=revision, allow_patterns=list(_WANTED), cache_dir=cache_folder()
        )
    except Exception as error:  # noqa: BLE001 # the client raises whatever its transport does
        raise ModelError(
            f"{name}: {where}, and the hub cannot be reached or does not give it "
            f"({type(error).__name__})",
            f"On a machine that can: hf download {repository}; then copy the folder here and pass "
            "`architecture` FOLDER.",
        ) from None
    return Path(found)
