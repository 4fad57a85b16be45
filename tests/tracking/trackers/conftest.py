"""Lets the tests here share ``stores``."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
