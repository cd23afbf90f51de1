import pytest

from xmir_cli.explain.writer import Writer


def test_what_is_given_is_done_when_it_is_waited_for():
    done: list[int] = []
    write = Writer()
    for number in range(20):
        write(lambda number=number: done.append(number))
    write.wait()
    assert sorted(done) == list(range(20))


def test_the_first_failure_is_raised_once_all_is_over():
    done: list[int] = []
    write = Writer()
    write(lambda: 1 / 0)
    write(lambda: [][0])
    write(lambda: done.append(1))
    with pytest.raises(ZeroDivisionError):
        write.wait()
    assert done == [1]
    write.wait()  # it was told
