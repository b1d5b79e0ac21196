"""Run fpgaml's command line inside a test's own process."""

from fpgaml.cli import app as cli


def command(monkeypatch, *args):
    """Run the command line; return its exit code."""
    monkeypatch.setattr("sys.argv", ["fpgaml", *map(str, args)])
    try:
        cli.main()
    except SystemExit as stopped:
        return stopped.code
    return 0
