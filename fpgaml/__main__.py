"""``python -m fpgaml`` is the command line."""

from fpgaml.cli.app import main

main()
