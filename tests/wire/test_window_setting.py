"""What `--window` takes."""

import pytest

from xmir_cli.wire.model import check_window


@pytest.mark.parametrize(
    "window", ["auto", "minmax", "bits:9", "bits:12", "bits:32", "p1,99", "-600,1500", "0.5,0.25"]
)
def test_windows_are_taken(window: str):
    assert check_window(window) == window


@pytest.mark.parametrize(
    "window", ["", "bits:8", "bits:33", "bits:x", "bits:-1", "12", "p99,1", "p-1,5", "5,0", "5,-1"]
)
def test_others_are_not(window: str):
    with pytest.raises(ValueError, match="expected"):
        check_window(window)
