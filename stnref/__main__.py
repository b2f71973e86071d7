"""The ``stnref`` command, which is ``python -m stnref`` too."""

import sys


def main() -> int:
    """Run `stnref.cli.main`, and take an interrupt in good part while that is still imported.

    Returns
    -------
    int
        The exit code.
    """
    try:
        from stnref import cli

        return cli.main()
    except KeyboardInterrupt:
        print("stnref: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
