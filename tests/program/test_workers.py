import threading

import pytest
import torch

from xmir_cli.program.workers import share_out


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_come_in_order_from_threads_with_one_processor_each(threads):
    def work(part):
        assert torch.get_num_threads() == 1
        assert not torch.is_grad_enabled()
        return part * part

    assert share_out(work, range(20)) == [part * part for part in range(20)]
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()


def test_as_many_work_at_once_as_torch_has_threads(threads):
    together = threading.Barrier(threads, timeout=5)
    share_out(lambda _: together.wait(), range(threads))  # the barrier breaks if one is missing


def test_work_shared_out_within_a_part_stays_in_its_thread(threads):
    def work(_):
        inner = share_out(lambda _: threading.get_ident(), range(3))
        return set(inner) == {threading.get_ident()}

    assert all(share_out(work, range(4)))
    assert torch.get_num_threads() == threads


def test_error_of_a_part_comes_out_and_the_threads_are_as_before(threads):
    with pytest.raises(ZeroDivisionError):
        share_out(lambda part: 1 // part, [1, 0, 1])
    assert torch.get_num_threads() == threads


def test_nothing_to_do_is_nothing_done():
    assert share_out(str, []) == []
