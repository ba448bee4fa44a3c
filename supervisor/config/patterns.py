"""Kinds of regular expressions: read, tried, and handed on as text."""

from supervisor.config.kinds import Text
from supervisor.config.problems import Place

MULTILINE_RULES = ("python", "java", "go", "node")
"""Names that stand for rules of their own, and not for themselves as a pattern; :mod:`supervisor.logs.multiline`."""


class Pattern(Text):
    """A regular expression in the syntax of Python's :mod:`re`.

    Args:
        matches_nothing: may match an empty text.
        allowed: what is allowed, in the words of a message.
    """

    def __init__(
        self, *, matches_nothing: bool = True, allowed: str = "a regular expression in the syntax of Python"
    ) -> None:
        super().__init__(empty=False, allowed=allowed)
        self.matches_nothing = matches_nothing

    def parse(self, value: object, at: Place) -> str:
        """Read a pattern; see :meth:`~supervisor.config.kinds.Kind.parse`."""
        text = super().parse(value, at)
        import re  # noqa: PLC0415 - few files have a pattern

        try:
            pattern = re.compile(text)
        except (re.error, RecursionError, OverflowError) as error:
            raise at.refuse(f"not a regular expression ({error}); allowed: {self.allowed}") from None
        if not self.matches_nothing and pattern.match(""):
            raise at.refuse(f"matches an empty text; allowed: {self.allowed} that matches at least one character")
        return text


class Multiline(Pattern):
    """A pattern for the first line of a record, or the name of a set of rules."""

    def __init__(self) -> None:
        rules = ", ".join(MULTILINE_RULES)
        super().__init__(allowed=f"{rules}, or a regular expression in the syntax of Python")

    def parse(self, value: object, at: Place) -> str:
        """Read a pattern; see :meth:`~supervisor.config.kinds.Kind.parse`."""
        return value if isinstance(value, str) and value in MULTILINE_RULES else super().parse(value, at)
