"""python -m ganbalance.cli."""

import sys

from ganbalance.cli import main

sys.exit(main())
