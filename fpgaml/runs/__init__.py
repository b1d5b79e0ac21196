"""The folder of a run, and what commands are pointed at: cards, runs, networks, models."""
