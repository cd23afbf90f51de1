"""Epochs as lines of a table."""

from xmir_cli.training.loop import Settings
from xmir_cli.training.table import columns, line


def test_the_attention_loss_has_a_column_only_when_it_is_asked_for():
    plain = columns(Settings())
    assert "attention_loss" not in plain
    assert columns(Settings(attention_loss=0.3)) == (*plain[:2], "attention_loss", *plain[2:])


def test_cells_stand_right_aligned_under_their_names():
    names = ("epoch", "loss", "violating_fraction")
    assert line(names, names) == "  epoch     loss  violating_fraction"
    assert line((0, 0.25, None), names) == "      0   0.2500                    "
