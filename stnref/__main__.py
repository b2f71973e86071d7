"""``python -m stnref`` is the ``stnref`` command."""

import sys

from stnref.cli import main

if __name__ == "__main__":
    sys.exit(main())
