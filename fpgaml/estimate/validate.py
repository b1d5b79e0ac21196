"""``python -m fpgaml.estimate.validate FOLDER [--json] [--all]``: the door to `laboratory.validate`."""

import sys

from fpgaml.estimate.laboratory.validate import main

if __name__ == "__main__":
    sys.exit(main())
