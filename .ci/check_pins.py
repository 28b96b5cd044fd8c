"""Fails when an installed package is not at the version that a requirements file pins."""

import sys
from importlib.metadata import version
from pathlib import Path

moved = []
for line in Path(sys.argv[1]).read_text("utf-8").splitlines():
    if "==" in line and not line.startswith("#"):
        name, wanted = line.strip().split("==")
        if version(name) != wanted:
            moved.append(f"{name} is {version(name)}, not {wanted}")
if moved:
    sys.exit("\n".join(moved))
print("no pinned package has moved")
