"""Templates of generated files: text with ``@name@`` where something is filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path


def fill(template: Path, text: Mapping[str, str]) -> str:
    """Return a template with each ``@name@`` replaced."""
    return re.sub(r"@(\w+)@", lambda m: text[m[1]], template.read_text(encoding="utf-8"))
