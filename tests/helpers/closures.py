"""Which functions have their signatures checked at each call."""

import types
from collections.abc import Callable
from typing import Any, get_args

import jaxtyping

WHOLE = jaxtyping.jaxtyped


def has_shapes(hint: Any) -> bool:
    """Whether a hint is of an array with a shape, or has one in it."""
    array = isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray)
    return array or any(map(has_shapes, get_args(hint)))


def checked(*, typechecker: Callable[..., Any]) -> Callable[[Any], Any]:
    """`jaxtyping.jaxtyped`, but for functions within functions that have no shapes in their signatures."""
    check = WHOLE(typechecker=typechecker)

    def decorate(thing: Any) -> Any:
        within = isinstance(thing, types.FunctionType) and "<locals>" in thing.__qualname__
        return check(thing) if not within or any(map(has_shapes, thing.__annotations__.values())) else thing

    return decorate
