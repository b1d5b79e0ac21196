"""Prove what a command names: a run's project, or one that is made of a card, network or model for the proof alone.

found = certify(Path("hls_projects/mnist_mlp"))       writes certificate.json there, and the report anew
found.certificate.sentence
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fpgaml.backend import certify as prover
from fpgaml.backend import cpp
from fpgaml.card.built import as_built
from fpgaml.card.changes import changed
from fpgaml.card.toml import load_card
from fpgaml.exact.certificate import Certificate
from fpgaml.flow.engine import Engine
from fpgaml.flow.steps import STEPS
from fpgaml.ir.network import Network
from fpgaml.runs import opener
from fpgaml.runs.workspace import Workspace, digest_of
from fpgaml.target.design import Design, check_design
from fpgaml.whole import made_whole

CERTIFICATE = "certificate.json"
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Certified:
    """A certificate, what it is of, and the file it was written to, if any."""

    certificate: Certificate
    origin: str
    file: Path | None


def certify(
    path: Path,
    *,
    base: Path | None = None,
    design: Mapping[str, Any] | None = None,
    output: Path | None = None,
    tell: Tell = lambda _: None,
) -> Certified:
    """Prove the project of the run that `path` names; without one, or for another `design`, one that is made for it.

    design: keys of a card's [design] that replace its own. The certificate goes to `output`, and without that into
    the run's folder if it is of the run's own project.

    Raises: DataError, ConfigError, FormatError, UnsupportedLayer for what names nothing that can be proved;
    ToolNotFound, ToolFailed.
    """
    found = opener.find(path, base)
    card = changed(found.card, {"design": dict(design)}) if design else found.card
    network, wanted = as_built(card, found.network)
    if found.run is not None and not design and (found.run / "hls").is_dir():
        return _of_run(found.run, network, wanted, output, tell)
    check_design(network, wanted)
    with tempfile.TemporaryDirectory(prefix="fpgaml-prove-") as name:
        tell("converting")
        folder = Path(name) / "hls"
        project = cpp.convert(network, wanted, folder)
        tell("proving")
        made = prover.prove(project)
    if output is not None:
        _write(output, made.record())
    return Certified(made, found.origin, output)


def _of_run(run: Path, network: Network, design: Design, output: Path | None, tell: Tell) -> Certified:
    tell("proving")
    (run / "logs").mkdir(exist_ok=True)
    made = prover.prove(cpp.Project(network, design, run / "hls"), log=run / "logs" / "prove.log")
    target = output or run / CERTIFICATE
    _write(target, made.record() | {"project": digest_of(run / "hls")})
    if output is None:
        _report_anew(run)
    return Certified(made, f"run {run}", target)


def _write(path: Path, record: dict[str, Any]) -> None:
    with made_whole(path) as part:
        part.write_text(json.dumps(record, indent=1), encoding="utf-8")


def _report_anew(run: Path) -> None:
    """Write a run's report again if it is up to date, so that it shows the certificate."""
    workspace = Workspace.at(load_card(run), run.parent)
    engine = Engine(STEPS, workspace)
    own = workspace.folder.resolve() == run.resolve()  # not renamed since
    if own and "report" in workspace.state and engine.unchanged("report"):
        with workspace.held():
            engine.do(("report",), force=("report",))
