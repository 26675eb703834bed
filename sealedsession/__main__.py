"""Run the command line for ``python -m sealedsession``."""

import sys

from sealedsession.cli import main

if __name__ == "__main__":
    sys.exit(main())
