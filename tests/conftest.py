"""Modules that tests of several rooms share lie beside this file, and are imported by name."""

import gc
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def pytest_collection_finish() -> None:
    """All modules are there to stay: looking through them again for garbage is a fifteenth of the time."""
    gc.collect()
    gc.freeze()
