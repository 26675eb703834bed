"""A module that nothing imports but a hostile payload: the import leaves a mark of its own."""

from pathlib import Path

Path("imported").touch()
name = "probe"
