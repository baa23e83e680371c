import pytest

from features.progress import Progress, Task, finish


def count(total: int) -> Task[str]:
    for done in range(1, total + 1):
        yield Progress(done, total, "step")
    return "done"


def test_a_finished_task_hands_over_every_report_in_order_and_its_result():
    reports: list[Progress] = []
    assert finish(count(3), reports.append) == "done"
    assert reports == [Progress(1, 3, "step"), Progress(2, 3, "step"), Progress(3, 3, "step")]


@pytest.mark.parametrize("total", [0, 1, 5])
def test_nobody_has_to_listen(total):
    assert finish(count(total)) == "done"


def test_an_error_in_the_task_or_in_the_listener_comes_through():
    def fail() -> Task[None]:
        yield Progress(0, 1, "step")
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        finish(fail())
    with pytest.raises(ZeroDivisionError):
        finish(count(1), lambda report: 1 / 0)
