"""One member of a concurrency group runs, the newest waits, the others end. Two applies of one environment at
once would fight over its traffic; a queue that loses the newest would leave production behind git."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlops.forge.pushed.groups import Group, join, leave


def test_the_first_runs_the_second_waits_and_a_third_takes_its_place() -> None:
    group, ended = join(Group(), "1", cancel=False)
    assert (group, ended) == (Group("1"), ())
    group, ended = join(group, "2", cancel=False)
    assert (group, ended) == (Group("1", "2"), ())
    group, ended = join(group, "3", cancel=False)
    assert (group, ended) == (Group("1", "3"), ("2",))
    group = leave(group, "1")
    assert group == Group("3")
    assert leave(group, "3") == Group()


def test_cancel_in_progress_ends_the_one_that_runs_and_waits_for_its_end() -> None:
    group, ended = join(Group("1", "2"), "3", cancel=True)
    assert (group, set(ended)) == (Group("1", "3"), {"1", "2"})
    assert leave(group, "1") == Group("3")


def test_joining_twice_and_leaving_without_being_there_change_nothing() -> None:
    group = Group("1", "2/prod")
    assert join(group, "2/prod", cancel=True) == (group, ())
    assert leave(group, "9") == group


@given(st.lists(st.tuples(st.sampled_from(["join", "cancel", "leave"]), st.integers(1, 6)), max_size=40))
def test_the_newest_is_never_lost_and_never_two_run(moves: list[tuple[str, int]]) -> None:
    group, newest = Group(), None
    for move, number in moves:
        member = str(number)
        if move == "leave":
            group = leave(group, member)
            newest = None if newest == member else newest
        elif member not in group:
            group, ended = join(group, member, cancel=move == "cancel")
            newest = member
            assert member not in ended
        assert newest is None or newest in group, "the newest member must run or wait"
        assert group.running is not None or group.waiting is None, "nobody may wait while nobody runs"
        assert group.running is None or group.running != group.waiting
