"""`python -m mckean.cli` is `mckean`."""

import sys

from mckean.cli import main

if __name__ == "__main__":
    sys.exit(main())
