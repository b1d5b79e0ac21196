"""``python -m fpgaml`` is the command line."""

from fpgaml.cli import main

main()
