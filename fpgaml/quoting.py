"""Text of others in text of ours: one function for each language that has words of its own.

    c_string('say "x"')      a literal of C and C++
    markdown("a | <b>")      shows as it is, on one line, also in a table;  code("a`b") as code
    drawn("$x$")             as it is in a figure, where matplotlib would set formulas
    printable("a\\x1b[2J")    without what a terminal would do

What is never quoted is from a closed alphabet instead: names of networks and layers (`ir.network.check_identifier`),
parts and boards (`target.boards`), types, digests and numbers. Tcl, Makefiles and the names of files have these alone.
"""

from __future__ import annotations

import re
import unicodedata

PLAIN_C = {byte: chr(byte) for byte in range(32, 127) if chr(byte) not in '"\\?'}
HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def c_string(text: str) -> str:
    """Return `text` as a literal of C; what is not plain ASCII as octal bytes of UTF-8."""
    return '"' + "".join(PLAIN_C.get(byte, f"\\{byte:03o}") for byte in text.encode(errors="replace")) + '"'


def markdown(text: str) -> str:
    """Return `text` as Markdown that shows it on one line: no mark-up, no HTML, no end of a table's cell."""
    plain = re.sub(r"([\\`*\[\]|~$#])|(?<![^\W_])(_)|(_)(?![^\W_])", r"\\\1\2\3", printable(text))
    return re.sub(r"[&<>]", lambda found: HTML[found[0]], plain)


def code(text: str) -> str:
    """Return `text` as code in Markdown; what would end it, or a table's cell, is replaced by an apostrophe."""
    return f"`{re.sub('[`|]', chr(39), printable(text)).strip() or ' '}`"


def drawn(text: str) -> str:
    """Return `text` as matplotlib shows it as it is: a dollar begins no formula."""
    return printable(text).replace("$", r"\$")


def printable(text: str) -> str:
    """Return `text` on one line, what acts instead of being seen (controls, directions) as a question mark."""
    return "".join(" " if char.isspace() else "?" if _acts(char) else char for char in text)


def _acts(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
