"""What the tests of the command line share."""

from packages import cache, package, unreachable

__all__ = ["cache", "package", "unreachable"]  # fixtures
