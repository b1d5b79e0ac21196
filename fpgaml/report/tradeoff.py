"""Accuracy against the bits of the weights, over all runs of a folder: what is drawn by `classification.trade_off`.

    found = gather(Path("hls_projects"))
    found.points                  one a run and its float network, one a point of a search
    drawn = marks(found.points)   with short names, for the figure

A run's accuracy is the mean over its seeds (`fpgaml trials --seeds`), else that of its own training (`fpgaml run`),
else the mean over its folds, which are of held-out training images. Cost counts the bits of kernels, zeros left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from statistics import mean, stdev
from typing import Any, TypeVar

from fpgaml.card.changes import changed, trained_as
from fpgaml.card.runcard import RunCard
from fpgaml.card.sections import Stage
from fpgaml.card.toml import load_card
from fpgaml.card.untrained import skeleton
from fpgaml.datasets.dataset import NAMED
from fpgaml.errors import ConfigError, FormatError, FpgamlError
from fpgaml.exact.pareto import pareto
from fpgaml.ir.network import matrix_size
from fpgaml.quoting import drawn

FLOAT_BITS = 32
GROUPS = ("float", "QAT", "QAP", "distilled", "searched")

Record = Mapping[str, Any]  # a JSON object
T = TypeVar("T")


@dataclass(frozen=True)
class Point:
    """One network: test accuracy (0 to 1), weights that are not zero, their bits together.

    Of several trainings (`of` says which, else it is empty) these are means; `deviation` is that of the accuracy.
    """

    group: str
    run: str
    data: str
    accuracy: float
    nonzero: int
    weight_bits: int
    of: str = ""
    trainings: int = 1
    deviation: float = 0.0


@dataclass(frozen=True)
class Gathered:
    """The points of a folder of runs, by group, cheapest first; and what was left out, with the reason."""

    points: tuple[Point, ...]
    left_out: tuple[str, ...]

    @property
    def front(self) -> tuple[Point, ...]:
        """The points that no other of the same data beats in both accuracy and cost."""
        best = {
            (data, *one)
            for data in {point.data for point in self.points}
            for one in pareto([(p.weight_bits, p.accuracy) for p in self.points if p.data == data])
        }
        return tuple(point for point in self.points if (point.data, point.weight_bits, point.accuracy) in best)


@dataclass(frozen=True)
class RunRecord:
    """What a run's folder says: its card, the steps done, and the records of stages, seeds, folds, searched points."""

    name: str
    card: RunCard
    steps: frozenset[str] = frozenset()
    stages: Sequence[Record] = ()
    seeds: Record | None = None
    folds: Record | None = None
    searched: Sequence[Record] = ()


def gather(folder: Path) -> Gathered:
    """Return the points of all runs in `folder`; fast runs are left out.

    Raises: ConfigError if there is no such folder, or no point in it; FormatError if a file is damaged.
    """
    if not folder.is_dir():
        raise ConfigError(f"folder of runs {folder} does not exist; name the one that fpgaml run writes to")
    names = sorted(path.name for path in folder.iterdir() if (path / "run.json").is_file())
    fast = [name for name in names if name.endswith("_fast")]
    every: list[tuple[Point, str]] = []
    left_out = [f"{name}: a fast run, whose accuracy is not its card's" for name in fast]
    for name in names:
        if name not in fast:
            run = read_run(folder / name)
            points, missing = points_of(run)
            same = json.dumps(run.card.model_dump(mode="json", include={"data", "model", "training"}))
            every += [(point, same if point.group == "float" else f"{point.run}: {point.group}") for point in points]
            left_out += [f"{name}: {reason}" for reason in missing]
    if not every:
        raise ConfigError(
            f"{folder} must have a run with an accuracy to show; make some with fpgaml run CARD, fpgaml trials CARD "
            "--seeds 5 or fpgaml search CARD" + "".join(f"\nleft out: {line}" for line in left_out)
        )
    chosen: dict[str, Point] = {}
    for point, key in every:  # float networks of one training are one point
        old = chosen.get(key)
        if old is None or (-point.trainings, len(point.run)) < (-old.trainings, len(old.run)):
            chosen[key] = point
    order = sorted(chosen.values(), key=lambda p: (p.data, GROUPS.index(p.group), p.weight_bits))
    return Gathered(tuple(order), tuple(left_out))


def read_run(folder: Path) -> RunRecord:
    """Return what a run's folder says. Raises: ConfigError, FormatError if a file in it is damaged."""

    def read(name: str, made: Callable[[Any], T]) -> T | None:
        path = folder / name
        if not path.is_file():
            return None
        try:
            return made(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FormatError(f"{path} must be as fpgaml wrote it, but is not: {error!r}; remove it") from error

    searched = [read(f"search/{path.name}", _searched) for path in sorted((folder / "search").glob("w*.json"))]
    return RunRecord(
        folder.name,
        load_card(folder / "card.toml"),
        read("run.json", lambda record: frozenset(record["steps"])) or frozenset(),
        read("stages.json", lambda rows: [_stage(row) for row in rows]) or (),
        read("seeds.json", _trials),
        read("folds.json", _trials),
        [row for row in searched if row],
    )


def points_of(run: RunRecord) -> tuple[list[Point], list[str]]:
    """Return a run's points: its float network, its result, and what a search found; and why any is missing."""
    run, missing = _fresh(run)
    stages, rows, of = run.stages, [], ""
    if run.seeds:
        rows, of = run.seeds["trials"], "seed"
    elif stages:
        rows = [{**stages[-1], "float": stages[0]["accuracy"]}]
    elif run.folds:
        rows, of = run.folds["trials"], "fold"
    points = [_mean("searched", run, [row], "", name=f"{run.name}/{row['name']}") for row in run.searched]
    if rows:
        points.append(_mean(group_of(run.card), run, rows, of))
        weights = (stages[0]["nonzero"], stages[0]["weight_bits"]) if stages else float_weights(run.card)
        if weights:
            points.append(_mean("float", run, [{**row, "accuracy": row["float"]} for row in rows], of, weights))
        else:
            missing.append("the size of its float network is unknown; fpgaml run CARD --to quantize tells it")
    missing += [f"{point.run}, {point.group}: all its weights are zero" for point in points if not point.weight_bits]
    return [point for point in points if point.weight_bits], missing


def _fresh(run: RunRecord) -> tuple[RunRecord, list[str]]:
    """Return a run without the records that an earlier version of its card left, and which these are."""
    stale: dict[str, Any] = {}
    names = ["float", *map(str, run.card.compress)]
    if run.stages and ("quantize" not in run.steps or [row["stage"] for row in run.stages] != names):
        stale["stages"] = ()
    for name in ("seeds", "folds"):
        record = getattr(run, name)
        if record and (not trained_as(run.card, record["card"]) or not record["trials"]):
            stale[name] = None
    return replace(run, **stale), [f"{name}.json is of an earlier version of its card; make it anew" for name in stale]


def group_of(card: RunCard) -> str:
    """Return the group of a card's result: distilled from another network, else by the stage that quantizes."""
    if Stage.DISTILL in card.compress and card.compression.teacher:
        return "distilled"
    return "QAP" if card.compress[-1] is Stage.QAP else "QAT"


def float_weights(card: RunCard) -> tuple[int, int] | None:
    """Return how many weights a card's float network has and their bits; None if the card alone does not say."""
    if card.data.source not in NAMED:
        return None
    try:
        network = skeleton(changed(card, {"compress": ["qat"]}), NAMED[card.data.source])
    except FpgamlError:
        return None
    if network is None:
        return None
    count = sum(prod(matrix_size(layer) or (0,)) for layer in network)
    return count, FLOAT_BITS * count


def marks(points: Sequence[Point]) -> list[dict[str, Any]]:
    """Return points as `classification.trade_off` takes them; those of a search get no label."""
    short: dict[str, str] = {}
    for data in {point.data for point in points}:
        short |= _short({point.run for point in points if point.data == data and point.group != "searched"})
    return [
        {
            "group": point.group,
            "data": drawn(point.data),
            "accuracy": point.accuracy,
            "weight_bits": point.weight_bits,
            "deviation": point.deviation,
            "label": "" if point.group == "searched" else short[point.run],
        }
        for point in points
    ]


def _short(names: set[str]) -> dict[str, str]:
    """Return each name without the words (parted by underscores) that all begin with; its last word stays."""
    words = [name.split("_") for name in names]
    columns = list(zip(*(own[:-1] for own in words), strict=False)) if len(names) > 1 else []
    shared = next((at for at, column in enumerate(columns) if len(set(column)) > 1), len(columns))
    return {"_".join(own): "_".join(own[shared:]) for own in words}


def to_json(found: Gathered) -> str:
    """Return points and what was left out as JSON text."""
    front = set(found.front)
    rows = [vars(point) | {"on_front": point in front} for point in found.points]
    return json.dumps({"points": rows, "left_out": found.left_out}, indent=1)


def _mean(
    group: str,
    run: RunRecord,
    rows: Sequence[Record],
    of: str,
    weights: tuple[int, int] | None = None,
    name: str = "",
) -> Point:
    """Return the mean of trainings, with `weights` (how many, bits) instead of the rows' own if given."""
    accuracies = [row["accuracy"] for row in rows]
    nonzero, bits = weights or (round(mean(row[key] for row in rows)) for key in ("nonzero", "weight_bits"))
    return Point(
        group=group,
        run=name or run.name,
        data=_data_name(run.card),
        accuracy=mean(accuracies),
        nonzero=nonzero,
        weight_bits=bits,
        of=f"mean of {len(rows)} {of}{'s' if len(rows) > 1 else ''}" if of else "",
        trainings=len(rows),
        deviation=stdev(accuracies) if len(rows) > 1 else 0.0,
    )


def _data_name(card: RunCard) -> str:
    kept = card.data.classes
    return card.data.source + (f", classes {', '.join(map(str, kept))}" if kept else "")


def _stage(row: Record) -> Record:
    return {"stage": str(row["stage"]), **_figures(row, "accuracy")}


def _searched(row: Record) -> Record:
    return {"name": str(row["name"]), **_figures(row, "accuracy")}


def _trials(record: Record) -> Record:
    trials = [{**_figures(row, "hardware_accuracy"), "float": float(row["float_accuracy"])} for row in record["trials"]]
    return {"card": record["card"], "trials": trials}


def _figures(row: Record, accuracy: str) -> dict[str, Any]:
    return {
        "accuracy": float(row[accuracy]),
        "nonzero": int(row["nonzero"]),
        "weight_bits": int(row["weight_bits"]),
    }
