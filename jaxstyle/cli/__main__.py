"""`python -m jaxstyle.cli`."""

from jaxstyle.cli.program import program

program()
