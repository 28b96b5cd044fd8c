"""What is installed only where it is asked for."""

import contextlib
from collections.abc import Iterator

from jaxstyle.errors import InputError


@contextlib.contextmanager
def needs(extra: str, what: str) -> Iterator[None]:
    """Around imports of packages that come with an extra of jaxstyle.

    Raises:
      InputError: one of them is not installed, with `what` needs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        told = f"{what} needs {error.name}, which is not installed: pip install 'jaxstyle[{extra}]'"
        raise InputError(told) from None
