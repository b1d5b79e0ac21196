"""Judge the estimator on anyone's reports: ``python -m fpgaml.estimate.validate FOLDER [--json] [--all]``.

FOLDER holds designs.csv and layers.csv with the columns of data/calibration (see its README); cells may be empty and
columns missing. Each design is estimated from its facts alone and compared with its reports: for each metric, by
design and by layer, the number of rows, the median and 90th percentile of the absolute percentage error, the
symmetric error, the bias, the coverage of the 80 % range and the worst five. Without ``--all`` only designs with an
unchanged library (nonstock 0) and matching reports (consistent 1) count; both are left out of no other reason.

A folder whose data the shipped coefficients were fitted to is cross-validated by repository instead, so that the
figures are honest there too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fpgaml.errors import DataError, FpgamlError
from fpgaml.estimate.laboratory.calibrate import FILES, cross_validate, digest, residuals, with_intervals
from fpgaml.estimate.laboratory.groundtruth import KnownDesign, read
from fpgaml.estimate.model import CostModel, model, synthesized
from fpgaml.estimate.residuals import ErrorStatistics, Residual, table
from fpgaml.target.measurement import ESTIMATED


@dataclass(frozen=True)
class Validation:
    """What a folder of reports says of the estimator. `left_out`: designs that could not be estimated, and why."""

    designs: int
    cross_validated: bool
    whole: tuple[ErrorStatistics, ...]
    layers: tuple[ErrorStatistics, ...]
    synthesis: tuple[ErrorStatistics, ...]
    left_out: tuple[tuple[str, str], ...]


def validate(folder: Path, *, everything: bool = False, known: CostModel | None = None) -> Validation:
    """Return the validation of the reports in `folder`. Raises: DataError if its files cannot be read."""
    known = known or model()
    designs, left_out = _choose(read(folder), everything)
    if not designs:
        raise DataError(f"{folder} must hold at least one design to estimate, found none among {len(left_out)}")
    own = all((folder / name).is_file() for name in FILES) and digest(folder) == known.data
    if own:
        whole, parts = (with_intervals(rows) for rows in cross_validate(designs))
    else:
        whole, parts = residuals(designs, known.coefficients)
        whole, parts = _with_ranges(whole, "design", designs, known), _with_ranges(parts, "layer", designs, known)
    return Validation(
        designs=len(designs),
        cross_validated=own,
        whole=tuple(table(whole, ESTIMATED)),
        layers=tuple(table(parts, ESTIMATED)),
        synthesis=tuple(table(_synthesis(designs, whole, known), ESTIMATED)),
        left_out=tuple(left_out),
    )


def _choose(designs: Sequence[KnownDesign], everything: bool) -> tuple[list[KnownDesign], list[tuple[str, str]]]:
    chosen, left_out = [], []
    for design in designs:
        if not design.layers:
            left_out.append((design.name, "no layer rows, and a topology that does not say its layers"))
        elif not everything and not design.stock:
            left_out.append((design.name, "its authors changed the HLS library"))
        elif not everything and not design.consistent:
            left_out.append((design.name, "its reports and firmware are not known to belong together"))
        else:
            chosen.append(design)
    return chosen, left_out


def _with_ranges(
    rows: Sequence[Residual], level: str, designs: Sequence[KnownDesign], known: CostModel
) -> list[Residual]:
    outside = {}
    for design in designs:
        flags = [known.is_outside(layer.facts) for layer in design.layers]
        outside[design.name] = any(flags)
        outside |= {f"{design.name}/{one.facts.name}": flag for one, flag in zip(design.layers, flags, strict=True)}
    return [
        replace(r, interval=known.spread(level, r.metric, r.group).around(r.metric, r.estimate, widen=outside[r.name]))
        for r in rows
    ]


def _synthesis(designs: Sequence[KnownDesign], whole: Sequence[Residual], known: CostModel) -> list[Residual]:
    """Return the errors after logic synthesis, where the data have it."""
    estimates = {(r.name, r.metric): r for r in whole}
    found = []
    for design in designs:
        for metric, truth in design.synthesis.items():
            base = estimates.get((design.name, metric))
            if base is not None:
                interval = synthesized(metric, base.estimate, base.group, known)
                found.append(replace(base, estimate=interval.median, truth=truth, interval=interval))
    return found


# -- output ----------------------------------------------------------------------------------------------------

_HEADER = f"{'':20s}{'n':>6s}{'median':>9s}{'p90':>9s}{'symm.':>9s}{'bias':>9s}{'close':>8s}{'covered':>9s}"


def as_text(found: Validation) -> str:
    """Return the validation as a plain table."""
    how = "cross-validated by repository" if found.cross_validated else "shipped coefficients"
    lines = [f"{found.designs} designs, {how}; errors in % of the report, covered: share inside the 80 % range"]
    for title, rows in _sections(found):
        if rows:
            lines += ["", title, _HEADER]
            lines += [_line(row) for row in rows]
    lines += ["", "close: within 10 % (cycles), 2 or 25 % (BRAM18), 25 % (others)"]
    for title, rows in _sections(found):
        for row in rows:
            worst = "; ".join(f"{r.name} {r.estimate:,.0f} for {r.truth:,.0f}" for r in row.worst)
            lines.append(f"worst, {title}, {row.metric}: {worst}")
    lines += [f"left out: {name}: {why}" for name, why in found.left_out]
    return "\n".join(lines)


def _sections(found: Validation) -> tuple[tuple[str, tuple[ErrorStatistics, ...]], ...]:
    return (
        ("designs, HLS csynth", found.whole),
        ("layers, HLS csynth", found.layers),
        ("designs, after logic synthesis", found.synthesis),
    )


def _line(row: ErrorStatistics) -> str:
    cells = [_percent(value) for value in (row.median, row.p90, row.symmetric, row.bias)]
    covered = "-" if row.coverage is None else f"{100 * row.coverage:.0f} %"
    numbers = "".join(f"{cell:>9s}" for cell in cells)
    return f"{row.metric:20s}{row.count:6d}{numbers}{100 * row.close:6.0f} %{covered:>9s}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def as_json(found: Validation) -> str:
    """Return the validation as JSON."""
    content: dict[str, Any] = {
        "designs": found.designs,
        "cross_validated": found.cross_validated,
        "left_out": [{"design": name, "reason": why} for name, why in found.left_out],
    }
    for key, rows in (("design", found.whole), ("layer", found.layers), ("synthesis", found.synthesis)):
        content[key] = {str(row.metric): _plain(row) for row in rows}
    return json.dumps(content, indent=1)


def _plain(row: ErrorStatistics) -> dict[str, Any]:
    names = ("count", "median", "p90", "symmetric", "bias", "close", "coverage")
    worst = [{"name": r.name, "estimate": r.estimate, "truth": r.truth} for r in row.worst]
    return {name: getattr(row, name) for name in names} | {"worst": worst}


def main(arguments: Sequence[str] | None = None) -> int:
    """Validate the folder that the command line names; 2 if it cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m fpgaml.estimate.validate", description="judge the estimator")
    parser.add_argument("folder", type=Path, help="folder with designs.csv and layers.csv")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--all", action="store_true", help="count changed libraries and stale reports too")
    given = parser.parse_args(arguments)
    try:
        found = validate(given.folder, everything=given.all)
    except FpgamlError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write((as_json(found) if given.json else as_text(found)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
