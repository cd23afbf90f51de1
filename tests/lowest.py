"""Prepares an environment for tests/lowest.sh: links to torch, and the versions to install there.

python tests/lowest.py FOLDER     prints requirements, FOLDER/venv gets FOLDER/torch on its path
"""

import os
import re
import sys
import sysconfig
import tomllib
from importlib import metadata
from pathlib import Path

LARGE = {"torch", "torchvision"}  # taken as they are, with what they need
OTHERS = {"mypy", "import-linter", "selenium"}  # used by no test there


def lowest() -> list[str]:
    """The lower bounds of all dependencies and of those of the tests, as requirements."""
    text = Path(__file__).parent.parent.joinpath("pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    found = [re.fullmatch(r"([\w-]+)>=([\w.]+)", each) for each in asked]
    return [f"{each[1]}=={each[2]}" for each in found if each and each[1] not in LARGE | OTHERS]


def needed(names: set[str], without: set[str]) -> set[str]:
    """These distributions and all that they need of what is installed."""
    found: set[str] = set()
    left = set(names)
    while left:
        name = left.pop()
        found.add(name)
        for text in metadata.requires(name) or ():
            other = re.match(r"[\w.-]+", text)[0].lower().replace("_", "-")  # type: ignore[index]
            if "extra ==" in text or other in found | without:
                continue
            try:
                metadata.version(other)
            except metadata.PackageNotFoundError:
                continue
            left.add(other)
    return found


def link(names: set[str], folder: Path) -> None:
    """Links to the files of these distributions in a folder of their own."""
    folder.mkdir()
    for name in names:
        files = metadata.files(name) or ()
        for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            source = Path(str(metadata.distribution(name).locate_file(top)))
            if source.exists() and not (folder / top).is_symlink():
                (folder / top).symlink_to(source)


if __name__ == "__main__":
    place = Path(sys.argv[1]).resolve()
    wanted = lowest()
    own = {each.partition("==")[0] for each in wanted}
    link(needed(LARGE, own), place / "torch")
    scheme = {"base": str(place / "venv"), "platbase": str(place / "venv")}
    packages = sysconfig.get_path("purelib", "venv", scheme)
    Path(packages, "torch.pth").write_text(f"{place / 'torch'}{os.linesep}")
    print(*wanted, sep="\n")
