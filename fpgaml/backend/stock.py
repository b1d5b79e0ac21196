"""Convert a model with hls4ml as its users do, and collect what its C++ computes in every layer.

    runs = stock_runs(model_path, values, design, folder, log=...)

One run a way of calling ``config_from_keras_model``: with the backend named, as in hls4ml's tutorial, and without,
as its signature allows; the second leaves every accumulator at fixed<16,6>. It happens in a child process.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fpgaml.errors import ToolFailed
from fpgaml.ir.fixed import Floats
from fpgaml.target.design import Design
from fpgaml.target.process import last_lines, run_tool

CHILD = Path(__file__).with_name("stock_child.py")


@dataclass(frozen=True)
class StockRun:
    """What hls4ml made of a model.

    `refused` is its converter's message, if that failed; then `layers` come from hls4ml's Keras-2 handlers. `failed`
    is the message of those, if they failed too; then there are no values.
    """

    call: str
    refused: str | None
    failed: str | None
    seconds: float
    output: Floats | None
    layers: dict[str, Floats]  # by hls4ml's layer names, in its order; (images, *shape)
    kinds: dict[str, str]
    types: dict[str, str]

    @property
    def by_handlers(self) -> bool:
        """Whether the values come from the Keras-2 handlers, for the converter failed."""
        return self.refused is not None and self.failed is None


def stock_runs(model: Path, values: Floats, design: Design, folder: Path, *, log: Path) -> tuple[StockRun, ...]:
    """Return hls4ml's own results for input `values` (images, *shape); projects are written into `folder`.

    Raises: ToolFailed if the child process itself fails.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    project = {
        "backend": str(design.backend),
        "part": design.part,
        "clock_period": design.clock_ns,
        "io_type": str(design.io_type),
    }
    request = {"model": str(model.resolve()), "folder": str(folder.resolve()), "project": project}
    (folder / "request.json").write_text(json.dumps(request, indent=1), encoding="utf-8")
    np.save(folder / "images.npy", np.asarray(values, np.float64))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    run_tool([sys.executable, "-P", CHILD, "request.json", "images.npy"], cwd=folder, log=log)
    try:
        records = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise ToolFailed(f"hls4ml's process left no result; log: {log}\n{last_lines(log)}") from error
    return tuple(_run(record, folder) for record in records)


def _run(record: dict[str, Any], folder: Path) -> StockRun:
    output, layers = None, {}
    if record["values"]:
        with np.load(folder / record["values"]) as file:
            output = file["output"]
            layers = {name: file[f"layer.{name}"] for name in record["order"]}
    return StockRun(
        record["call"], record["refused"], record["failed"], record["seconds"], output, layers, record["kinds"],
        record["types"],
    )  # fmt: skip
