"""Lets the tests of this folder share ``tabular_oracles``."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
