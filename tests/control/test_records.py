"""The ring that events are kept in, and the counters beside it."""

import pytest

from supervisor.control.records import RecordCounts, Ring


def numbers(ring: Ring, after: int, most: int = 100) -> list[int]:
    """Numbers of the records after one."""
    return [entry.number for entry in ring.after(after, most)]


def filled(count: int, most: int = 10) -> Ring:
    """A ring with records 1 to ``count``."""
    ring = Ring(most)
    for number in range(1, count + 1):
        ring.add(number, {"event": "x", "seq": number})
    return ring


def test_empty() -> None:
    """Nothing is there, and nothing is lost."""
    ring = Ring()
    assert (ring.last, ring.lost, numbers(ring, 0)) == (0, 0, [])


@pytest.mark.parametrize(("count", "lost"), [(1, 0), (9, 0), (10, 0), (11, 1), (35, 25)])
def test_the_oldest_make_room(count: int, lost: int) -> None:
    """The bound holds, and what is kept no longer is known by its number."""
    ring = filled(count)
    assert (ring.last, ring.lost) == (count, lost)
    assert numbers(ring, 0) == list(range(lost + 1, count + 1))


def test_after() -> None:
    """Those behind a number, the oldest first, not more than asked for; numbers may have gaps."""
    ring = Ring()
    for number in (2, 5, 9):
        ring.add(number, {"event": "x"})
    assert numbers(ring, 0) == [2, 5, 9]
    assert numbers(ring, 2) == numbers(ring, 4) == [5, 9]
    assert numbers(ring, 0, most=2) == [2, 5]
    assert numbers(ring, 9) == numbers(ring, 100) == []


def test_bytes_are_bounded_too() -> None:
    """Large records push out more than one; the latest is kept whatever its size."""
    ring = Ring(100, most_bytes=10)
    for number, size in ((1, 4), (2, 4), (3, 2), (4, 7)):
        ring.add(number, {"event": "x"}, size=size)
    assert (numbers(ring, 0), ring.lost) == ([3, 4], 2)
    ring.add(5, {"event": "x"}, size=1000)
    assert numbers(ring, 0) == [5]
    ring.clear()
    assert (numbers(ring, 0), ring.lost, ring.last) == ([], 5, 5)
    ring.add(6, {"event": "x"}, size=10)
    assert numbers(ring, 0) == [6]


def test_wakers_are_called_once() -> None:
    """At the next record, or at the end, and not again; who was called off is not called."""
    ring, called = Ring(), list[str]()

    def first() -> None:
        called.append("first")

    def second() -> None:
        called.append("second")

    ring.on_change(first)
    ring.on_change(second)
    ring.forget(second)
    ring.forget(second)
    ring.add(1, {"event": "x"})
    ring.add(2, {"event": "x"})
    assert called == ["first"]
    ring.on_change(second)
    ring.close()
    assert (called, ring.closed) == (["first", "second"], True)


def test_a_line_is_made_once() -> None:
    """However many followers there are, they share the bytes."""
    (entry,) = filled(1).after(0, 1)
    assert entry.line == b'{"event":"x","seq":1}\n'
    assert entry.line is entry.line


def test_counts() -> None:
    """Records by event, and losses by service and reason."""
    counts = RecordCounts()
    records: list[dict[str, object]] = [
        {"event": "a"},
        {"event": "a"},
        {"event": "log_lines_dropped", "count": 3, "reason": "blocked"},
        {"event": "log_lines_dropped", "count": 4, "reason": "blocked"},
        {"event": "log_lines_dropped", "count": 5, "reason": "overflow", "service": "web"},
    ]
    for record in records:
        counts.add(record)
    assert counts.events == {"a": 2, "log_lines_dropped": 3}
    assert counts.lost == {("", "blocked"): 7, ("web", "overflow"): 5}
