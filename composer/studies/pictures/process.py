"""The process that draws the pictures of a run: ``python -m composer.studies.pictures.process RUN [--first]``.

The uploader starts it, at its own low priority. ``--first`` draws the blueprint too, which does not change.
Tests: tests/studies/pictures/test_pictures.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

from composer.spec.errors import ComposerError
from composer.studies.pictures.of_run import draw_blueprint, draw_progress


def main(arguments: list[str]) -> int:
    """Draw what the arguments say; 1 and a line on standard error where that fails."""
    run_dir, *options = arguments
    try:
        if options:
            draw_blueprint(Path(run_dir))
        draw_progress(Path(run_dir))
    except (ComposerError, OSError, ValueError) as error:
        print(f"{run_dir}: its pictures cannot be drawn: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
