"""`python -m cortexsim` is `cortexsim`."""

import sys

from cortexsim.cli import main

if __name__ == "__main__":
    sys.exit(main())
