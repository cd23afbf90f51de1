"""Names that stand for several pictures of a file: `#frame=1-40`, `#frame=*`."""

import os
from collections.abc import Sequence

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError, SettingError
from xmir_cli.pictures.identity import name_of, split_range


def expand_frames(name: str) -> list[str]:
    """The name of an image, or one for each picture that `#frame=` behind it asks for.

    Raises ItemError for a range that runs backwards, starts at 0 or is too long.
    """
    try:
        several = None if os.path.lexists(name) else split_range(name)
    except ValueError as error:
        raise ItemError(Cause.BAD_FRAME, f"frame: {error}") from None
    if several is None:
        return [name]
    path, frames = several
    return [name_of(path, frame) for frame in (_all_frames(path) if frames is None else frames)]


def expand_setting(setting: str, names: Sequence[str]) -> list[str]:
    """The same for all names of a setting; raises SettingError for a range that cannot be."""
    found = []
    for name in names:
        try:
            found += expand_frames(name)
        except ItemError as error:
            raise SettingError(setting, error.detail, value=name) from None
    return found


def need_one(setting: str, name: str) -> str:
    """The only image of a name; raises SettingError when it stands for several pictures."""
    found = expand_setting(setting, [name])
    if len(found) > 1:
        reason = f"the name stands for {len(found)} pictures, and one is needed"
        raise SettingError(setting, reason, f"Name one: {found[0]}", value=name)
    return found[0]


def _all_frames(path: str) -> range:
    """Every picture of a file; of one that cannot be read the first, which is then left out."""
    from xmir_cli.pictures.files import count_images  # noqa: PLC0415 # Pillow; ids need no image

    try:
        return range(1, count_images(path) + 1)
    except ItemError:
        return range(1, 2)
