"""A network as C++ that runs, held against the emulator bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpgaml.backend import csim, hls4ml
from fpgaml.card.sections import DesignCard
from fpgaml.exact import emulate
from fpgaml.exact.agreement import Agreement, decoded, hold
from fpgaml.exact.comparison import Executor, float32_limit
from fpgaml.ir.fixed import Codes, Floats
from fpgaml.ir.network import Network, matrix_size
from fpgaml.target.design import Design, IoType


@dataclass(frozen=True)
class Project:
    """An HLS project on disk and the network it was made from."""

    network: Network
    design: Design
    folder: Path


def convert(network: Network, design: Design, folder: Path, *, log: Path | None = None) -> Project:
    """Write the HLS project of `network` into `folder`, read it back, and return it.

    Raises: ConfigError, ToolFailed, ConversionMismatch.
    """
    hls4ml.convert(network, design, folder, log=log or folder.with_suffix(".log"))
    return Project(network, design, folder)


def simulate(
    project: Project, codes: NDArray[np.integer], *, log: Path | None = None, progress: csim.Progress | None = None
) -> NDArray[np.int64]:
    """Compile the project with g++ (once) and return the output codes for images given as codes."""
    log = log or project.folder.with_suffix(".g++.log")
    return execute(project.network, project.folder, codes, log=log, progress=progress)[project.network.output.name]


def execute(
    network: Network,
    folder: Path,
    codes: NDArray[np.integer],
    *,
    log: Path,
    trace: bool = False,
    progress: csim.Progress | None = None,
) -> dict[str, Codes]:
    """Compile the project in `folder` and return the codes of its output by name; with `trace`, of every layer.

    Raises: as `csim.build` and `csim.simulate`.
    """
    program = csim.build(network, folder, log=log, images=len(codes))
    output, layers = csim.simulate(program, codes, trace=trace, progress=progress)
    return layers | {network.output.name: output}


def against_emulator(network: Network, folder: Path, codes: NDArray[np.integer], *, log: Path) -> Agreement:
    """Run images through the C++ in `folder` and through the emulator, and hold all outputs against each other."""
    name = network.output.name
    ours, theirs = {name: emulate.run(network, codes)}, execute(network, folder, codes, log=log)
    return hold(decoded(network, ours), decoded(network, theirs), [name])


def mismatches(
    network: Network, design: Design, codes: NDArray[np.integer], keras_logits: Floats | None, folder: Path
) -> int:
    """Convert `network` into `folder`, simulate all images, and count the logits in which the executions differ.

    A logit counts once if C simulation differs from the emulator or, where float32 is exact, QKeras does (None: it is
    no reference). Raises: as `convert` and `simulate`.
    """
    name = network.output.name
    ours = {name: emulate.run(network, codes)}
    theirs = {name: simulate(convert(network, design, folder), codes)}
    wrong = hold(decoded(network, ours), decoded(network, theirs), [name]).wrong[name]
    if keras_logits is not None and float32_limit(network) is None:
        keras = {name: keras_logits.reshape(wrong.shape)}
        pair = Executor.EMULATOR, Executor.QKERAS
        wrong = wrong | hold(decoded(network, ours), keras, [name], pair).wrong[name]
    return int(wrong.sum())


def prove(network: Network, codes: Codes, folder: Path, design: Design | None = None) -> int:
    """Convert the network into `folder`, run `codes` through its C simulation, and return how many logits are equal.

    design: how it is built; without one, a board's default, streamed if it has convolutions (it compiles faster).

    Raises: BitMismatch with the first difference; ToolNotFound, ToolFailed, ConversionMismatch.
    """
    conv = any(matrix_size(layer) and len(network.shapes[layer.name]) > 1 for layer in network)
    default = DesignCard(io_type=IoType.STREAM if conv else IoType.PARALLEL)
    folder.parent.mkdir(parents=True, exist_ok=True)
    project = convert(network, design or default.resolve(), folder)
    found = against_emulator(network, project.folder, codes, log=folder.with_suffix(".g++.log"))
    found.require("C simulation differs from the emulator: ")
    return found.values
