"""Modules that the tests of diagnostics share lie beside this file, and are imported by name."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
