"""How the values that people work with show themselves: one line at a prompt, a table in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple


class Summary(NamedTuple):
    """What a value says of itself: one line, and a table of texts below its headings."""

    line: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


class Shown:
    """A value that has a `summary` of itself; its repr fits a line, and a notebook shows a table."""

    @property
    def summary(self) -> Summary:
        """What there is to see."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.summary.line}>"

    def _repr_html_(self) -> str:
        """Return the summary as an HTML table; names are text in it."""
        line, head, rows = self.summary
        heads = "".join(f"<th>{escape(one)}</th>" for one in head)
        body = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in rows)
        caption = f"<caption>{escape(type(self).__name__)} {escape(line)}</caption>"
        return f"<table>{caption}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
