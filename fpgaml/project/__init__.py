"""A generated project made worth opening: scripts, test benches, wrappers, board packages, vendor tools."""
