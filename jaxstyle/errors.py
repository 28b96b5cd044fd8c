"""The one error that means "what you gave cannot be used", and the phrases that recur in its line."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """What the user gave cannot be used. The message is one plain line: what was given, what is allowed."""


def nearest(name: str, names: Iterable[str]) -> str:
    """The end of an error line: "; did you mean 'X'?", or nothing when no name is near."""
    near = difflib.get_close_matches(str(name), list(names), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def one_for_each(count: int, what: str) -> str:
    """ "one for each STYLE, and there are 2": how many of something are needed."""
    return f"one for each {what}, and there {'is' if count == 1 else 'are'} {count}"
