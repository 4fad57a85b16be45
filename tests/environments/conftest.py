"""Worker processes import the test environments by name: the folder that holds them is on the path they inherit."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
