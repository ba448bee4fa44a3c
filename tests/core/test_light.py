"""The light forms of what the standard library has: they behave as the originals do, where they are used."""

import copy
import enum
import pickle
from typing import Any

import pytest

from supervisor.core.light import Enum


class Colour(Enum):
    """Two words."""

    RED = "red"
    """Documented."""
    DARK_BLUE = "dark-blue"


class Original(enum.Enum):
    """The same by the standard library."""

    RED = "red"
    """Documented."""
    DARK_BLUE = "dark-blue"


class Other(Enum):
    """Another with the same word."""

    RED = "red"


@pytest.mark.parametrize("kind", [Colour, Original])
def test_a_choice_of_words_is_what_an_enumeration_is(kind: Any) -> None:
    """In all that is used of it."""
    assert [(member.name, member.value) for member in kind] == [("RED", "red"), ("DARK_BLUE", "dark-blue")]
    assert kind("red") is kind.RED
    assert kind.RED in kind
    assert isinstance(kind.RED, kind)
    assert (len(kind), bool(kind), bool(kind.RED)) == (2, True, True)
    assert kind.RED != kind.DARK_BLUE
    assert kind.RED != "red"
    assert kind.RED != Other.RED
    assert len({kind.RED, kind.DARK_BLUE, kind.RED}) == 2
    assert copy.deepcopy(kind.RED) is kind.RED
    assert pickle.loads(pickle.dumps(kind.RED)) is kind.RED
    assert "RED" in repr(kind.RED)
    assert kind.__doc__
    with pytest.raises(ValueError, match="green"):
        kind("green")


def test_it_matches_by_its_members() -> None:
    """In a match statement, as the core uses it."""
    found = []
    for member in Colour:
        match member:
            case Colour.RED:
                found.append("red")
            case Colour.DARK_BLUE:
                found.append("blue")
    assert found == ["red", "blue"]
