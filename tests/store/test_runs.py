"""The files of a training run: what they carry, and when a run may be continued."""

import pytest
import torch

from xmir_cli.errors import DataError, ExistsError, ModelError
from xmir_cli.store.checkpoint import write_tensors
from xmir_cli.store.runs import (
    Run,
    check_finished,
    check_output,
    continue_state,
    write_checkpoint,
    write_state,
)
from xmir_cli.store.unfinished import state_path
from xmir_cli.wire.model import ModelSpec

ASKED = {"epochs": 3, "seed": 0, "start": {"weights": "random:0"}}
DONE = ({"epoch": 1, "loss": 0.25}, {"epoch": 2, "loss": 0.125})
TENSORS = {"a": torch.arange(3.0)}


def test_a_state_gives_back_its_tensors_and_epochs(tmp_path):
    write_state(tmp_path / "s", TENSORS, Run(ASKED, DONE))
    tensors, run = continue_state(tmp_path / "s", Run({**ASKED, "epochs": 9}))
    assert torch.equal(tensors["a"], TENSORS["a"])
    assert run == Run({**ASKED, "epochs": 9}, DONE)


def test_what_was_asked_otherwise_is_named(tmp_path):
    write_state(tmp_path / "s", TENSORS, Run(ASKED, DONE))
    other = Run({**ASKED, "seed": 1, "start": {"weights": "imagenet"}, "new": True})
    with pytest.raises(DataError, match=r"interrupted with other seed, start, new"):
        continue_state(tmp_path / "s", other)


def test_a_run_with_a_schedule_is_continued_with_its_own_epochs_alone(tmp_path):
    planned = {**ASKED, "schedule": "cosine"}
    write_state(tmp_path / "s", TENSORS, Run(planned, DONE))
    assert continue_state(tmp_path / "s", Run(planned))[1].epochs == DONE
    with pytest.raises(DataError, match="interrupted with other epochs"):
        continue_state(tmp_path / "s", Run({**planned, "epochs": 9}))
    with pytest.raises(DataError, match="interrupted with other schedule"):
        continue_state(tmp_path / "s", Run(ASKED))


def test_fewer_epochs_than_are_done_is_refused(tmp_path):
    write_state(tmp_path / "s", TENSORS, Run(ASKED, DONE))
    with pytest.raises(DataError, match="2 epochs are done, more than the 1 of `epochs`"):
        continue_state(tmp_path / "s", Run({**ASKED, "epochs": 1}))


@pytest.mark.parametrize("metadata", [{}, {"xmir.schema": "xmir.checkpoint/1"}])
def test_another_kind_of_file_is_no_state(tmp_path, metadata):
    write_tensors(tmp_path / "s", TENSORS, metadata)
    with pytest.raises(ModelError, match=r"expected a file of the schema xmir\.training/1"):
        continue_state(tmp_path / "s", Run(ASKED))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"asked": 1, "epochs": 2}'])
def test_a_damaged_record_of_the_run_is_refused(tmp_path, text):
    metadata = {"xmir.schema": "xmir.training/1", "xmir.training": text}
    write_tensors(tmp_path / "s", TENSORS, metadata)
    with pytest.raises(ModelError, match="damaged record of the training run"):
        continue_state(tmp_path / "s", Run(ASKED))


def test_a_checkpoint_is_finished_when_all_its_epochs_are_done(tmp_path):
    output = tmp_path / "out.safetensors"
    spec = ModelSpec("densenet121", str(output))
    write_checkpoint(output, TENSORS, spec, Run({**ASKED, "epochs": 2}, DONE))
    check_finished(output, Run({**ASKED, "epochs": 2}))
    with pytest.raises(ExistsError, match=r"trained with other seed, epochs"):
        check_finished(output, Run({**ASKED, "seed": 4}))


def test_an_output_is_checked_before_the_work(tmp_path):
    output = tmp_path / "out.safetensors"
    check_output(output, replace_or_resume=False)
    state_path(output).write_text("")
    with pytest.raises(ExistsError, match=r"out\.safetensors\.state\.safetensors: a run that was"):
        check_output(output, replace_or_resume=False)
    check_output(output, replace_or_resume=True)
    with pytest.raises(DataError, match="nowhere: no such folder"):
        check_output(tmp_path / "nowhere" / "x", replace_or_resume=True)
    with pytest.raises(DataError, match="cannot be written there"):
        check_output(tmp_path, replace_or_resume=True)


def test_a_state_or_a_checkpoint_of_which_a_byte_changed_is_refused(tmp_path):
    write_state(tmp_path / "s", TENSORS, Run(ASKED, DONE))
    whole = (tmp_path / "s").read_bytes()
    (tmp_path / "s").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ModelError, match=r"damaged tensors \(checksum\)"):
        continue_state(tmp_path / "s", Run(ASKED))
    spec = ModelSpec("densenet121", "x")
    write_checkpoint(tmp_path / "c", TENSORS, spec, Run({**ASKED, "epochs": 2}, DONE))
    changed = (tmp_path / "c").read_bytes().replace(b'\\"resize\\": 256', b'\\"resize\\": 257')
    (tmp_path / "c").write_bytes(changed)
    with pytest.raises(ModelError, match="damaged safetensors header"):
        check_finished(tmp_path / "c", Run({**ASKED, "epochs": 2}))
