"""The estimate of a run as one record, and the figure of what each layer costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fpgaml.estimate import Estimate, EstimateStage, compare_with_float, utilisation
from fpgaml.estimate.tables import error_statement, verdict_text
from fpgaml.report.style import BLUE, GRID
from fpgaml.target.boards import find_part
from fpgaml.target.design import Design
from fpgaml.target.measurement import ESTIMATED, RESOURCES, Metric
from fpgaml.target.reports import find

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fpgaml.estimate.estimator import Measurements
    from fpgaml.ir.network import Network

NOTHING = {"median": 0.0, "low": 0.0, "high": 0.0}
REACH = 2.5  # times the longest bar: how far the axis of a figure goes; what reaches further is written


def estimate_record(network: Network, design: Design, project: Path) -> dict[str, Any]:
    """Return what the design costs by estimate, beside the float model, and by reports where the project has any."""
    part = find_part(design.part)
    both = compare_with_float(network, design, part)
    found = both.quantized
    return {
        "part": part.device,
        "clock_ns": design.clock_ns,
        "tool": str(design.tool),
        "extrapolated": found.extrapolated,
        "walls": [str(wall) for wall in found.walls],
        "errors": error_statement(),
        "design": {str(stage): _values(found.at(stage)) for stage in EstimateStage},
        "float_model": _values(both.float_model.csynth),
        "latency_us": _interval(found.latency_us),
        "interval_us": _interval(found.interval_us),
        "weight_bits": both.weight_bits,
        "float32_bits": both.float32_bits,
        "layers": [
            {"layer": layer.name, "reuse_factor": layer.reuse_factor, **_values(layer.values)} for layer in found.layers
        ],
        "fit": {str(stage): _fit(found, stage) for stage in EstimateStage},
        "verdict": verdict_text(found),
        "reports": [
            {"file": Path(report.name).name, "kind": str(report.kind), "tool": f"{report.tool} {report.version}",
             "values": {str(m): v.value.median for m, v in report.measurements.items()}}
            for report in (find(project, network.name) if project.is_dir() else [])
        ],
    }  # fmt: skip


def _values(measurements: Measurements) -> dict[str, dict[str, float]]:
    return {str(metric): _interval(found.value) for metric, found in measurements.items()}


def _interval(value: Any) -> dict[str, float]:
    return {"median": round(value.median, 3), "low": round(value.low, 3), "high": round(value.high, 3)}


def _fit(found: Estimate, stage: EstimateStage) -> dict[str, Any]:
    used = utilisation(found, stage)
    return {
        "verdict": str(used.verdict),
        "probability": round(used.probability, 3),
        "limiting": str(used.limiting.metric),
        "uses": {str(use.metric): {"used": _interval(use.used), "available": use.available} for use in used.uses},
    }


def cost_by_layer(record: dict[str, Any]) -> tuple[Figure, str]:
    """Bars of latency and resources, a row of bars a layer, with the 80 % range."""
    from matplotlib.figure import Figure

    layers = [layer for layer in record["layers"] if any(layer.get(str(m), {}).get("median") for m in ESTIMATED)]
    costs = {metric: [layer.get(str(metric), NOTHING) for layer in layers] for metric in (Metric.LATENCY, *RESOURCES)}
    shown = {metric: values for metric, values in costs.items() if any(value["high"] for value in values)}
    names = [layer["layer"] for layer in layers]
    figure = Figure(figsize=(1 + 2 * max(1, len(shown)), 0.9 + 0.34 * max(3, len(layers))), layout="constrained")
    for ax, (metric, values) in zip(
        np.atleast_1d(figure.subplots(1, max(1, len(shown)), sharey=True)), shown.items(), strict=False
    ):
        _draw_costs(ax, names, values)
        ax.set_title(f"{metric} ({metric.unit})" if metric.unit != str(metric) else str(metric), fontsize=9)
    if names:
        figure.axes[0].invert_yaxis()
    caption = (
        f"What each layer costs, estimated for HLS csynth on {record['part']}: bars are medians, lines the 80 % range. "
        "Look for the layer that is longest in each: raise its reuse factor to save resources, lower it to save time."
    )
    unused = [str(metric) for metric in costs if metric not in shown]
    if unused:
        caption += f" No layer is expected to need {' or '.join(unused)}."
    return figure, caption


def _draw_costs(ax: Axes, names: list[str], values: list[dict[str, float]]) -> None:
    """Draw one bar a layer with its range; a range far beyond all bars is cut off, and its end is written."""
    medians = [value["median"] for value in values]
    around = [[v["median"] - v["low"] for v in values], [v["high"] - v["median"] for v in values]]
    ax.barh(names, medians, color=BLUE, alpha=0.85)
    ax.errorbar(medians, range(len(names)), xerr=around, fmt="none", ecolor="#333333", lw=1, capsize=2)
    top, longest = max(value["high"] for value in values), max(medians)
    end = min(1.05 * top, REACH * longest) if longest else 1.05 * top
    ax.set_xlim(0, end)
    for row, value in enumerate(values):
        if value["high"] > end:
            ax.annotate(f"to {value['high']:,.0f}", (end, row - 0.08), ha="right", va="bottom", fontsize=6)
    ax.tick_params(labelsize=8)
    ax.locator_params(axis="x", nbins=3)
    ax.grid(axis="x", color=GRID, lw=0.6)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
