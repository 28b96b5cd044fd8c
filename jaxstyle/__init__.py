"""Neural style transfer in JAX: exact, fast, optimisation-based (Gatys, Ecker and Bethge 2015).

The public names are those of `__init__.pyi`, which says where each is. They are imported when they are first used, so
that `jaxstyle --help` need not wait for JAX.
"""

import lazy_loader

__version__ = "0.2.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
