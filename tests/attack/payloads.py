"""Texts that would do something where they are put unquoted, and a walk over the texts of a tree."""

from collections.abc import Iterator
from typing import Any

CANARY = "fpgaml_canary"

PAYLOADS = (
    f"[exec touch {CANARY}]",
    f'"; exec touch {CANARY}; set x "',
    f"a\nexec touch {CANARY}\n",
    f"$(touch {CANARY})",
    f"$(shell touch {CANARY})",
    f"`touch {CANARY}`",
    f"; touch {CANARY} #",
    "$env(HOME) ${x}",
    '*/ } #error "ran" /*',
    '"); system("touch x"); ("',
    "a\\\n#error ran",
    "??/\n%:error ran",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![x](https://example.org/x.png)",
    "| a | b |\n|---|---|",
    "`code` *bold* __strong__ ~~gone~~ # not a title",
    "&lt;b&gt; &amp;",
    "[bold red]red[/] [/] [link=https://example.org]x[/link]",
    "\x1b[2J\x1b]0;title\x07",
    "\u202egnp.exe \u200b",
    "$\\frac{1}{0}$ $x^2$ $",
    "../../outside",
    "/outside",
    "\x00",
    "\x7f",
    "ü \U0001f600",
    "'",
    "\\",
    "%s %n {0} {x} @top@",
    "-rf",
    "x" * 5000,
)


def texts(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each text in nested dictionaries and lists."""
    if isinstance(tree, str):
        yield path
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from texts(value, (*path, key))
    elif isinstance(tree, list | tuple):
        for key, value in enumerate(tree):
            yield from texts(value, (*path, key))


def with_text(tree: Any, path: tuple[Any, ...], text: str) -> Any:
    """Return a copy of `tree` with the text at `path` replaced."""
    if not path:
        return text
    if isinstance(tree, dict):
        return {key: with_text(value, path[1:], text) if key == path[0] else value for key, value in tree.items()}
    return [with_text(value, path[1:], text) if key == path[0] else value for key, value in enumerate(tree)]


def with_all(tree: Any, text: str, but: tuple[str, ...] = ()) -> Any:
    """Return a copy of `tree` with every text in it replaced, except below the keys `but`."""
    if isinstance(tree, dict):
        return {key: value if key in but else with_all(value, text, but) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [with_all(value, text, but) for value in tree]
    return text if isinstance(tree, str) else tree
