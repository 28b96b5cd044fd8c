"""The commands of the command line, one file each: the first line of its docstring is its help, the rest the
description in its own help, `Options` what it can be told, and `run(options)` what it does, which may return an exit
code. One that is several has them in `ACTIONS`, by name: their options, and what they do.

Each is light to import: what needs JAX is imported within `run`, once wrong input has been refused.
"""
