"""What stands over the figure of a training run."""

from types import SimpleNamespace

import pytest

from xmir_cli.pages.history import write_history
from xmir_cli.store.runs import Run


@pytest.mark.parametrize(("wanted", "told"), [(1, "1 of 1 epoch"), (3, "1 of 3 epochs")])
def test_epochs_are_counted_in_the_title(tmp_path, monkeypatch, wanted, told):
    titles = []

    def draw(title, *_):
        titles.append(title)
        return SimpleNamespace(encode=lambda _: b"")

    monkeypatch.setattr("xmir_cli.pages.history.draw_history", draw)
    asked = {
        "start": {"architecture": "tiny"}, "epochs": wanted, "classes": {"a": 2, "b": 2},
        "classes_per_batch": None, "per_class": 2, "learning_rate": 0.1, "margin": 0.2, "seed": 0,
    }  # fmt: skip
    write_history(tmp_path / "run.png", Run(asked, ({},)))
    assert titles == [f"Training of tiny: {told}"]
