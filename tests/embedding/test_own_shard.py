import pytest

from xmir_cli.embedding.own_shard import find_lone_task, find_piece, local_rank
from xmir_cli.errors import SettingError, UsageError


def piece(asked: str | None = None, **environment: object) -> tuple[str, str] | None:
    found = find_piece(asked, {name: str(value) for name, value in environment.items()})
    return None if found is None else (str(found.shard), found.told)


def array(own: int, count: int, first: int = 0, **more: object) -> dict[str, object]:
    return {
        "SLURM_ARRAY_TASK_ID": own,
        "SLURM_ARRAY_TASK_COUNT": count,
        "SLURM_ARRAY_TASK_MIN": first,
        **more,
    }


def test_alone_it_does_all():
    assert piece() is None
    assert piece(RANK=0, WORLD_SIZE=1) is None
    assert piece(RANK=3) is None
    assert piece(**array(7, 1, 7)) is None


def test_the_user_has_the_first_word():
    assert piece("2/3") == ("2/3", "")
    assert piece("1/1", RANK=1, WORLD_SIZE=4) == ("1/1", "")
    with pytest.raises(SettingError, match="expected I/N, the I-th of N, such as 1/4"):
        piece("4")


def test_torchrun_and_slurm_tell_which_process_it_is():
    assert piece(RANK=1, WORLD_SIZE=4) == ("2/4", "RANK")
    assert piece(**array(0, 4)) == ("1/4", "SLURM_ARRAY_TASK_ID")
    assert piece(**array(4, 4, 1)) == ("4/4", "SLURM_ARRAY_TASK_ID")
    assert piece(**array(12, 4, 0, SLURM_ARRAY_TASK_STEP=4)) == ("4/4", "SLURM_ARRAY_TASK_ID")
    assert piece(SLURM_PROCID=1, SLURM_NTASKS=2) == ("2/2", "SLURM_PROCID")


def test_a_step_of_a_job_counts_its_own_tasks_and_a_batch_script_is_none():
    step = {"SLURM_JOB_ID": 5, "SLURM_PROCID": 0, "SLURM_NTASKS": 8}
    assert piece(**step) is None
    assert piece(**step, SLURM_STEP_ID=0, SLURM_STEP_NUM_TASKS=2) == ("1/2", "SLURM_PROCID")


def test_processes_within_tasks_of_an_array_are_all_counted():
    told = "SLURM_ARRAY_TASK_ID, RANK"
    found = [piece(**array(task, 2, 1), RANK=r, WORLD_SIZE=3) for task in (1, 2) for r in range(3)]
    assert found == [(f"{number}/6", told) for number in range(1, 7)]
    # torchrun counts the tasks that srun started for it
    assert piece(RANK=5, WORLD_SIZE=8, SLURM_PROCID=1, SLURM_NTASKS=2) == ("6/8", "RANK")


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({"WORLD_SIZE": 2}, "WORLD_SIZE is set, RANK is not"),
        ({"RANK": 2, "WORLD_SIZE": 2}, "RANK is 2: the 2 ranks of WORLD_SIZE count from 0"),
        ({"RANK": "x", "WORLD_SIZE": 2}, "RANK: expected a whole number, found 'x'"),
        (
            array(7, 3, 1),
            "SLURM_ARRAY_TASK_ID is 7, SLURM_ARRAY_TASK_COUNT 3: "  # noqa: ISC004
            "the tasks of the array are not evenly apart",
        ),
    ],
)
def test_variables_that_do_not_go_together_are_refused(environment: dict, line: str):
    with pytest.raises(UsageError) as caught:
        piece(**environment)
    assert str(caught.value) == line


def test_each_process_of_a_host_has_a_number():
    assert local_rank({}) is None
    assert local_rank({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}) == 1
    step = {"SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_LOCALID": "3"}
    assert local_rank(step) == 3
    assert local_rank({"LOCAL_RANK": "1"}) is None


def test_a_task_that_is_alone_in_its_array_is_known():
    def lone(**environment: object) -> int | None:
        return find_lone_task({name: str(value) for name, value in environment.items()})

    assert lone(**array(3, 1, 3)) == 3
    assert lone(**array(0, 1)) == 0
    assert lone(**array(3, 2, 2)) is None
    assert lone() is None
