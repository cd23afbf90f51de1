"""What is told of a page."""

import pytest

from xmir_cli.pages.html import told_size


@pytest.mark.parametrize(
    ("count", "told"),
    [(3000, "3 KB"), (100_000, "98 KB"), (110_000, "0.1 MB"), (5 << 20, "5.0 MB")],
)
def test_a_small_page_is_told_in_kilobytes(count, told):
    assert told_size(count) == told
