"""What streaming hardware is made of: streams between stages, and what a stage does in time.

    Stream     beats of an image between two stages: so many values of a type in each
    Steps     what a stage does, step by step, and how long its results are on their way
    StreamStage      one instance of a module: parameters, what leaves it, its timing, a module or ROM of its own

Every stage has one input and one output of valid, ready and data. It does its steps in order, one a cycle: a step may
need a beat at the input, take it, and send one off, which is at the output `latency` cycles later. All of a stage
stands still while a beat at its output is not taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fpgaml.ir.fixed import FixedPoint
from fpgaml.ir.network import Shape

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Stream:
    """What travels between two stages for one image: `beats` times `channels` values, of a tensor of `shape`."""

    shape: Shape
    beats: int
    channels: int
    type: FixedPoint

    @property
    def width(self) -> int:
        """Bits of one beat."""
        return self.channels * self.type.width

    @property
    def rows_cols(self) -> tuple[int, int]:
        """Rows and columns of a map; one dimension is one row."""
        spatial = self.shape[:-1]
        return (1, spatial[0]) if len(spatial) == 1 else (spatial[0], spatial[1])


@dataclass(frozen=True, eq=False)
class Steps:
    """The steps of one image: whether each needs a beat at the input, takes it, and sends one off."""

    needs: Mask
    takes: Mask
    emits: Mask
    latency: int = 1


def passing(emits: Mask, latency: int = 1) -> Steps:
    """Return the timing of a stage that takes a beat in each step, and sends some off."""
    every = np.ones(len(emits), bool)
    return Steps(every, every, emits, latency)


def each(beats: int, latency: int = 1) -> Steps:
    """Return the timing of a stage that sends off what it takes."""
    return passing(np.ones(beats, bool), latency)


@dataclass(frozen=True)
class Rom:
    """Rows of bits, one read a cycle."""

    rows: tuple[int, ...]
    width: int


@dataclass(frozen=True, eq=False)
class StreamStage:
    """One instance of a module in the top.

    name: ends in ``__what`` unless what leaves it is the layer's output. own: the text of a module that is made for
    this stage alone; else the module is in the library. multipliers: how many it has.
    """

    name: str
    module: str
    parameters: Mapping[str, int | str]
    out: Stream
    timing: Steps
    own: str = ""
    rom: Rom | None = None
    multipliers: int = 0
    layers: tuple[str, ...] = field(default=())  # whose outputs leave it: the layer, and those that only rename it

    @property
    def is_whole(self) -> bool:
        """Whether a layer's output leaves it."""
        return bool(self.layers)
