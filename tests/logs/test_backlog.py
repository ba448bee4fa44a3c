"""What waits to be written comes out as it went in."""

from hypothesis import given
from hypothesis import strategies as st

from supervisor.logs.backlog import Backlog
from tests.logs.support import patient


@patient
@given(st.lists(st.tuples(st.sampled_from([0, 1, 99, 40_000, 65_535, 65_536, 200_000]), st.floats(0, 1))))
def test_first_in_first_out(steps: list[tuple[int, float]]) -> None:
    """Whatever is put in and however much of the front is written each time, the bytes keep their order."""
    backlog, given, taken = Backlog(), b"", b""
    for number, (length, share) in enumerate(steps):
        data = bytes([number % 256]) * length
        given += data
        backlog.add(data)
        assert backlog.size == len(given) - len(taken)
        if backlog.size:
            front = backlog.front()
            assert len(front) >= min(65_536, backlog.size)
            sent = int(len(front) * share)
            taken += front[:sent]
            backlog.skip(sent)
    assert taken + backlog.take() == given
    assert backlog.size == 0
