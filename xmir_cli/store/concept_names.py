"""What the files of a concept are called; see concepts.py."""

from pathlib import Path


def concept_name(file: str) -> str:
    """What a concept is called: as its file, without folder and ending; a dot has a meaning."""
    return Path(file).stem.replace(".", "_")


def concept_files(path: Path) -> tuple[Path, Path, Path]:
    """All that a concept of that name writes."""
    return path, shuffled_path(path), path.with_suffix(".json")


def shuffled_path(path: Path) -> Path:
    """Where the directions of shuffled examples lie."""
    return path.with_suffix(".shuffled.npy")
