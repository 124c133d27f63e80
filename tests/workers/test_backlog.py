"""What waits for a worker: order within a group, turns between groups."""

import random
from collections import defaultdict

import pytest

from portico.agents.item import Item
from portico.workers.backlog import Backlog, Task


def item(name: str, size: int = 1) -> Item:
    """An item that is known by its order key."""
    return Item(signal=bytes(16), content=b"x" * size, envelope={}, order_key=name, attempt=1)


def filled(*names: str) -> Backlog:
    """A backlog of items in the groups that their first letters name."""
    backlog = Backlog()
    for name in names:
        backlog.add(item(name), name[0], print)
    return backlog


def names(tasks: list[Task]) -> list[str]:
    """The items of a frame."""
    return [task.item.order_key for task in tasks]


def test_groups_take_turns_within_a_frame():
    """A long group does not push the others out, and each keeps its own order."""
    backlog = filled("a1", "a2", "a3", "b1", "c1", "b2")

    assert names(backlog.take(5, 100)) == ["a1", "b1", "c1", "a2", "b2"]


def test_a_group_that_is_out_waits_for_its_answers():
    """Two workers never hold items of one group."""
    backlog = filled("a1", "a2", "b1")
    (first, *_) = backlog.take(1, 100)

    assert names(backlog.take(9, 100)) == ["b1"]
    assert backlog.take(9, 100) == []

    backlog.finish(first)

    assert names(backlog.take(9, 100)) == ["a2"]


def test_items_of_a_frame_know_their_group_by_the_place_of_its_first():
    """The worker needs no key to know what must be skipped together."""
    frame = filled("a1", "b1", "a2", "b2").take(9, 100)

    assert [task.group.mark for task in frame] == [0, 1, 0, 1]


def test_an_empty_key_is_no_group():
    """Items without order go side by side."""
    backlog = Backlog()
    for number in range(3):
        backlog.add(item(str(number)), "", print)

    assert [len(backlog.take(1, 100)) for _ in range(4)] == [1, 1, 1, 0]


def test_a_frame_ends_when_its_room_is_used():
    """The item that passes the room is the last; one that is larger than all goes alone."""
    backlog = Backlog()
    for name, size in (("a", 60), ("b", 60), ("c", 500), ("d", 1)):
        backlog.add(item(name, size), name, print)

    assert names(backlog.take(9, 100)) == ["a", "b"]
    assert names(backlog.take(9, 100)) == ["c"]


def test_what_is_put_back_goes_first_and_in_order():
    """After a death a group continues where it stood."""
    backlog = filled("a1", "a2", "b1", "a3")
    backlog.put_back(backlog.take(3, 100))

    assert len(backlog) == 4
    assert names(backlog.take(9, 100)) == ["a1", "b1", "a2", "a3"]


def test_a_suspect_shares_its_frame_with_nobody():
    """Items that may have killed a worker go one by one, and the others then together."""
    backlog = filled("a1", "b1", "c1", "d1")
    suspects = backlog.take(2, 100)
    for task in suspects:
        task.alone = True
    backlog.put_back(suspects)

    assert names(backlog.take(9, 100)) == ["a1"]
    assert names(backlog.take(9, 100)) == ["b1"]
    assert names(backlog.take(9, 100)) == ["c1", "d1"]


def test_a_suspect_behind_another_of_its_group_still_goes_alone():
    """Two suspects of one group go one after the other, each by itself."""
    backlog = filled("a1", "a2", "b1")
    suspects = backlog.take(3, 100)
    for task in suspects:
        task.alone = True
    backlog.put_back(suspects)
    seen = []
    while frame := backlog.take(9, 100):
        seen.append(names(frame))
        backlog.finish(frame[0])

    assert sorted(seen) == [["a1"], ["a2"], ["b1"]]
    assert seen.index(["a1"]) < seen.index(["a2"])


def test_a_held_group_gives_back_what_waits_and_takes_what_comes_later():
    """The one who submits decides what the group does next."""
    backlog = filled("a1", "a2", "a3")
    (failed,) = backlog.take(1, 100)

    assert names(backlog.hold(failed.group)) == ["a2", "a3"]

    backlog.add(item("a1 again"), "a", print)
    backlog.finish(failed)

    assert names(backlog.take(9, 100)) == ["a1 again"]
    assert failed.group.held is False


def test_clear_gives_back_all_that_waits():
    """Groups in their order, and nothing that is out."""
    backlog = filled("a1", "a2", "b1")
    backlog.take(1, 100)
    backlog.add(item("free"), "", print)

    assert sorted(names(backlog.clear())) == ["a2", "b1", "free"]
    assert len(backlog) == 0
    assert not backlog.ready


@pytest.mark.parametrize("seed", range(20))
def test_no_history_breaks_the_order_of_a_group(seed):
    """Whatever is taken, answered, or put back: each group's items are answered in order,
    each once, and never two frames at a time."""
    rng = random.Random(seed)
    backlog, out, answered = Backlog(), [], defaultdict(list)
    counts = defaultdict(int)
    for step in range(600):
        act = rng.random() if step < 500 else 0.4 + 0.5 * rng.random()
        if act < 0.4:
            group = rng.choice("abcd")
            counts[group] += 1
            backlog.add(item(f"{group}{counts[group]:03}"), group, print)
        elif act < 0.65:
            out.append(backlog.take(rng.randint(1, 5), 100))
        elif out and act < 0.9:
            for task in out.pop(rng.randrange(len(out))):
                backlog.finish(task)
                answered[task.group.key].append(task.item.order_key)
        elif out:
            backlog.put_back(out.pop(rng.randrange(len(out))))
        holders = [{task.group.key for task in frame} for frame in out]
        assert sum(map(len, holders)) == len(set().union(*holders))

    for frame in out:
        backlog.put_back(frame)
    while frame := backlog.take(64, 1000):
        for task in frame:
            backlog.finish(task)
            answered[task.group.key].append(task.item.order_key)

    assert answered == {
        group: [f"{group}{n:03}" for n in range(1, count + 1)]
        for group, count in counts.items()
    }
