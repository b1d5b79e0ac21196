"""From the files of a run to report.html, report.md, report.json and figures: reading and drawing, no computing.

matplotlib is imported when something is drawn, and not before.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fpgaml.quoting import code, markdown

if TYPE_CHECKING:
    from fpgaml.runs.workspace import Workspace


def write_report(workspace: Workspace) -> str:
    """Write report.html, report.md, report.json and figures/ of a run; return one line that says where."""
    from fpgaml.report import figures, results
    from fpgaml.report.page import report_page

    facts = results.gather(workspace)
    drawn = figures.draw_all(workspace, facts)
    text = json.dumps(facts.record, indent=1)
    workspace.write("report.json", lambda path: path.write_text(text, encoding="utf-8"))
    report = _environment().get_template("report.md.j2").render(**facts.record, figures=drawn)
    workspace.write("report.md", lambda path: path.write_text(report, encoding="utf-8"))
    page = report_page(workspace, facts, report)
    workspace.write("report.html", lambda path: path.write_text(page, encoding="utf-8"))
    return f"report.html, report.md, report.json, {len(drawn)} figures"


def _environment() -> Environment:
    """Return the templates' environment: what is put into a page shows as it is, unless it is `Markup` already."""
    made = Environment(
        loader=PackageLoader("fpgaml.report", ""), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        autoescape=True, finalize=lambda value: Markup(markdown(value)) if type(value) is str else value,
    )  # fmt: skip
    made.filters["code"] = lambda value: Markup(code(str(value)))
    return made
