"""Numbers in DICOM tags as writers really put them there; what is none is no number.

pydicom raises for a whole data set where one text of a number is odd. Values are never quoted.
"""

import math
import re
from typing import TYPE_CHECKING

import numpy as np

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")  # 1,024 may be 1024 or 1.024
_TEXTS = {"DS", "IS"}


def read_numbers(dataset: "Dataset", keyword: str) -> list[float | None]:
    """Each value of a tag, None for one that is no finite number; [] where the tag says nothing."""
    if keyword not in dataset:
        return []
    values = _values(dataset, keyword)
    found = [_number(value) for value in values]
    return [] if all(str(value).strip(" \0") == "" for value in values) else found


def read_one(dataset: "Dataset", keyword: str) -> float | None:
    """The value of a tag that has one, perhaps said twice; None where the tag says nothing.

    Raises ItemError when it says something, and that is no number.
    """
    numbers = set(read_numbers(dataset, keyword))
    if not numbers:
        return None
    value = numbers.pop()
    if value is None or numbers:
        raise ItemError(Cause.MISSING_TAG, f"{keyword} is no number")
    return value


def read_whole(dataset: "Dataset", keyword: str) -> int | None:
    """The whole number that a tag holds; None where it has none."""
    numbers = set(read_numbers(dataset, keyword))
    value = numbers.pop() if len(numbers) == 1 else None
    return None if value is None or value != int(value) else int(value)


def _values(dataset: "Dataset", keyword: str) -> list[object]:
    from pydicom.datadict import dictionary_VR  # noqa: PLC0415 # an extra

    element = dataset.get_item(keyword)
    value = getattr(element, "value", None)
    if value is None:
        return []
    kind = getattr(element, "VR", None) or dictionary_VR(keyword)
    if isinstance(value, bytes) and kind in _TEXTS:
        return list(value.decode("ascii", "replace").split("\\"))
    try:
        value = dataset.get(keyword)
    except Exception:  # noqa: BLE001 # bytes that are none of the kind that they claim
        return [None]
    if value is None:
        return []
    if isinstance(value, bytes):  # of an unknown kind
        return [int.from_bytes(value, "little")] if value else []
    return [value] if isinstance(value, int | float | str) else list(np.atleast_1d(value))


def _number(value: object) -> float | None:
    if isinstance(value, int | float):  # DSfloat is one
        return float(value) if math.isfinite(value) else None
    text = str(value).strip(" \0\t\r\n")
    if "." not in text and text.count(",") == 1 and not _GROUPED.fullmatch(text):
        text = text.replace(",", ".")  # a decimal comma
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None
