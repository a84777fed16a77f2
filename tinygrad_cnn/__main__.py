"""``python -m tinygrad_cnn``: the command line."""

import sys

from tinygrad_cnn.cli.main import main

sys.exit(main())
