"""All runs of a folder in one table and page, and two runs held side by side, from what they wrote.

    found_runs(folder)          what each run in a folder says of itself, finished or not
    overview_page(folder)       index.html
    page_of(folder)             the page of a run, also of one that stopped half way or was made by an older version
    difference(left, right)     what two runs differ in: card first, then data and versions, then results

Nothing is computed; what a run did not record is "not recorded".
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fpgaml.errors import ConfigError
from fpgaml.quoting import markdown
from fpgaml.report.page import Fact, page
from fpgaml.runs.workspace import read_mark

UNKNOWN = "not recorded"


@dataclass(frozen=True)
class RunRow:
    """One run in a table; what it has not come to is None. accuracy: of the C simulation, a share."""

    name: str
    finished: bool
    accuracy: float | None
    float_accuracy: float | None
    differing_logits: int | None
    weight_bits: int | None
    latency_us: float | None
    lut: float | None
    part: str | None
    date: str


@dataclass(frozen=True)
class Different:
    """One thing in which two runs differ; what one has not is `UNKNOWN`, or "default" of a card.

    group: "card", "data and versions" or "results".
    """

    group: str
    what: str
    left: str
    right: str


def found_runs(folder: Path) -> list[RunRow]:
    """Return the runs in a folder, by name. Raises: ConfigError if there is no such folder."""
    if not folder.is_dir():
        raise ConfigError(f"folder {folder} does not exist; name the folder that the runs are in")
    return [_row(path) for path in sorted(folder.iterdir()) if (path / "run.json").is_file()]


def _row(folder: Path) -> RunRow:
    record = _record(folder)
    executions = {one["name"]: one for one in _at(record, "comparison", "executions") or ()}
    when = datetime.fromtimestamp((folder / "run.json").stat().st_mtime, UTC)
    return RunRow(
        name=folder.name,
        finished=bool(record),
        accuracy=_at(executions, "C simulation", "accuracy"),
        float_accuracy=_at(executions, "float", "accuracy"),
        differing_logits=_at(executions, "emulator", "mismatching_logits"),
        weight_bits=_at(record, "estimate", "weight_bits"),
        latency_us=_at(record, "estimate", "latency_us", "median"),
        lut=_at(record, "estimate", "design", "after logic synthesis", "LUT", "median"),
        part=_at(record, "design", "part"),
        date=f"{when:%Y-%m-%d}",
    )


def overview_page(folder: Path) -> Path:
    """Write index.html into a folder of runs: a table of them, each with its page; return it. Raises: ConfigError."""
    rows = found_runs(folder)
    if not rows:
        raise ConfigError(f"folder {folder} has no run; fpgaml run CARD makes one")
    head = (
        "run",
        "accuracy (%)",
        "float (%)",
        "logits that differ",
        "weight bits",
        "latency (µs)",
        "LUT",
        "part",
        "date",
    )
    lines = [
        (
            f"[{markdown(row.name)}](<{row.name}/report.html>)",
            _share(row.accuracy),
            _share(row.float_accuracy),
            _count(row.differing_logits),
            _count(row.weight_bits),
            "-" if row.latency_us is None else f"~{row.latency_us:.3g}",
            "-" if row.lut is None else f"~{row.lut:,.0f}",
            markdown(row.part or "-"),
            row.date if row.finished else "not finished",
        )
        for row in rows
    ]
    origin = "Accuracy: C simulation, test set. Latency and LUT: medians of estimates, LUT after logic synthesis."
    text = "\n".join(["# runs", "", "## All runs", "", origin, "", *table(head, lines), "", *_figure(rows, folder)])
    proved = sum(row.differing_logits == 0 for row in rows)
    facts = [
        Fact("runs", str(len(rows)), f"in {folder}"),
        Fact("proved", str(proved), "0 logits differ from the emulator"),
    ]
    for row in rows:
        if not (folder / row.name / "report.html").is_file():
            page_of(folder / row.name)
    made = page(title=f"Runs in {folder.resolve().name}", facts=facts, text=text, folder=folder)
    (folder / "index.html").write_text(made, encoding="utf-8")
    return folder / "index.html"


def _figure(rows: Sequence[RunRow], folder: Path) -> list[str]:
    """Draw accuracy against bits of weights into index.svg; return its lines, none if no two runs can be compared."""
    known = [row for row in rows if row.accuracy is not None and row.weight_bits is not None]
    if len(known) < 2:
        return []
    from matplotlib.figure import Figure

    from fpgaml.report.style import BLUE, GRID

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.semilogx([row.weight_bits for row in known], [100 * (row.accuracy or 0) for row in known], "o", color=BLUE)
    for row in known:
        where = (row.weight_bits or 0, 100 * (row.accuracy or 0))
        axes.annotate(row.name, where, xytext=(5, 4), textcoords="offset points", fontsize=7, parse_math=False)
    axes.set_xlabel("bits of all weights")
    axes.set_ylabel("accuracy in hardware (%)")
    axes.grid(color=GRID, lw=0.6)
    figure.savefig(folder / "index.svg", metadata={"Date": None})
    return ["![Accuracy against bits of weights](index.svg)"]


def page_of(folder: Path) -> Path:
    """Return the page of a run; where it has none, write one from what there is.

    Raises: ConfigError if the folder is no run; FormatError if its record cannot be read.
    """
    path = folder / "report.html"
    if path.is_file():
        return path
    if not (folder / "run.json").is_file():
        raise ConfigError(f"{folder} is no run: name a folder that fpgaml run or convert made")
    steps = read_mark(folder / "run.json").get("steps", {})
    report = folder / "report.md"
    text = report.read_text(encoding="utf-8") if report.is_file() else _stopped(folder, steps)
    state = "by an older version" if report.is_file() else "not finished"
    facts = [Fact("this run", state, "fpgaml run with its card writes the whole page"), *_failure(folder)]
    path.write_text(page(title=folder.name, facts=facts, text=text, folder=folder), encoding="utf-8")
    return path


def _failure(folder: Path) -> Iterator[Fact]:
    proof = _json(folder / "comparison.json")
    if proof.get("failure"):
        yield Fact("bit for bit", "not proved", str(proof["failure"]), "bad")


def _stopped(folder: Path, steps: Mapping[str, Any]) -> str:
    """Return what is known of a run that did not come to its report."""
    rows = [
        (markdown(name), f"{done.get('seconds', 0):.1f}", markdown(str(done.get("summary", ""))))
        for name, done in steps.items()
    ]
    lines = ["# run", "", "## Steps that are done", "", *table(("step", "time (s)", "what it said"), rows)]
    counts = _json(folder / "comparison.json").get("layers", {})
    layers = sorted({layer for held in counts.values() for layer in held})
    if layers:
        wrong = [(markdown(layer), *(str(held.get(layer, "-")) for held in counts.values())) for layer in layers]
        lines += ["", "## Values that differ from the emulator", "", *table(("layer", *map(markdown, counts)), wrong)]
    return "\n".join(lines)


def difference(left: Path, right: Path) -> list[Different]:
    """Return what two runs differ in. Raises: ConfigError if one is no run; FormatError if one cannot be read."""
    sides = []
    for folder in (left, right):
        if not (folder / "run.json").is_file():
            raise ConfigError(f"{folder} is no run: name a folder that fpgaml run or convert made")
        sides.append({"card": _card(folder), "data and versions": _origin(folder), "results": _results(folder)})
    return [
        Different(group, what, *(side[group].get(what, "default" if group == "card" else UNKNOWN) for side in sides))
        for group in sides[0]
        for what in dict.fromkeys([*sides[0][group], *sides[1][group]])
        if sides[0][group].get(what) != sides[1][group].get(what)
    ]


def difference_page(left: Path, right: Path, path: Path) -> Path:
    """Write what two runs differ in as a page, with the figures of both; return it. Raises: ConfigError."""
    found, lines = difference(left, right), [f"# {left.name} and {right.name}"]
    for group in dict.fromkeys(one.group for one in found):
        rows = [(markdown(one.what), markdown(one.left), markdown(one.right)) for one in found if one.group == group]
        lines += ["", f"## {group.capitalize()}", "", *table(("", markdown(left.name), markdown(right.name)), rows)]
    parent = Path(os.path.commonpath([left.resolve(), right.resolve()]))
    for name in ("learning_curves", "confusion", "ranges", "cost_by_layer"):
        drawn = [side for side in (left, right) if (side / "figures" / f"{name}.svg").is_file()]
        if drawn:
            lines += ["", f"## {name.replace('_', ' ').capitalize()}"]
        for side in drawn:
            place = (side.resolve() / "figures" / f"{name}.svg").relative_to(parent).as_posix()
            lines += ["", f"**{markdown(side.name)}**", "", f"![{name} of {markdown(side.name)}](<{place}>)"]
    facts = [Fact("differences", str(len(found)), f"between {left} and {right}")]
    return save_page(path, f"{left.name} and {right.name}", facts, "\n".join(lines), parent)


def save_page(path: Path, title: str, facts: Sequence[Fact], text: str, folder: Path) -> Path:
    """Write a page of Markdown `text`, its figures in `folder`; return it. Raises: ConfigError if it cannot be."""
    try:
        path.write_text(page(title=title, facts=facts, text=text, folder=folder), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"page {path} cannot be written: {error.strerror}; name another file") from error
    return path


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table: columns of numbers stand right, all others left."""
    columns = zip(*rows, strict=True) if rows else ()
    rule = "|".join("---:" if all(map(_is_number, column)) else "---" for column in columns) or "|".join(
        ["---"] * len(head)
    )
    return [f"| {' | '.join(head)} |", f"|{rule}|", *(f"| {' | '.join(row)} |" for row in rows)]


def _is_number(text: str) -> bool:
    return text == "-" or text.lstrip("~-").replace(",", "").replace(".", "").isdigit()


def rows_record(rows: Sequence[RunRow | Different]) -> list[dict[str, Any]]:
    """Return rows as JSON-ready data."""
    return [asdict(row) for row in rows]


def _card(folder: Path) -> dict[str, str]:
    path = folder / "card.toml"
    try:
        return dict(_flat(tomllib.loads(path.read_text(encoding="utf-8")))) if path.is_file() else {}
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for number, inner in enumerate(value):
            yield from _flat(inner, f"{path}.{inner.get('name', number)}")
    else:
        yield path, str(value)


def _origin(folder: Path) -> dict[str, str]:
    record = _record(folder)
    digests = {f"digest of {key}": record.get("digests", {}).get(key, UNKNOWN)[:16] for key in ("data", "network")}
    return digests | {str(name): str(one) for name, one in record.get("versions", {}).items()}


def _results(folder: Path) -> dict[str, str]:
    record = _record(folder)
    found = {}
    for one in _at(record, "comparison", "executions") or ():
        found[f"accuracy, {one['name']}"] = f"{_share(one['accuracy'])} %"
        found[f"logits that differ, {one['name']}"] = _count(one["mismatching_logits"])
    for name, value in (record.get("size") or {}).items():
        if isinstance(value, int):
            found[f"size: {name}"] = f"{value:,}"
    for tool, design in (_at(record, "estimate", "design") or {}).items():
        for metric, spread in design.items():
            found[f"{metric}, estimate, {tool}"] = f"~{spread['median']:,.0f}"
    if _at(record, "estimate", "verdict"):
        found["verdict"] = record["estimate"]["verdict"]
    return found


def _record(folder: Path) -> dict[str, Any]:
    return _json(folder / "report.json")


def _json(path: Path) -> dict[str, Any]:
    """Return a JSON object of a run; empty if it is not there or cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _at(record: Any, *keys: str) -> Any:
    """Return what lies at a path of keys; None if it is not there."""
    for key in keys:
        if not isinstance(record, Mapping) or key not in record:
            return None
        record = record[key]
    return record


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
