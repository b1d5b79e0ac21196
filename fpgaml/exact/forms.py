"""What came out of a program that was executed on variables: affine forms, and operations that are not affine.

    SymbolicRun     everything: one `Cut` a layer and image, with a form for each of its outputs
    Forms           affine forms ``(offset + sum of coefficient * code) * 2**-fraction``, all in flat arrays
    Operation       a cast that can lose something, a comparison, a choice, a quotient, a product of two variables

A column of a form is a variable (a code of a layer's output or of the input) or an operation, each by its number. The
variables of a cut have consecutive numbers. backend/symbolic.py makes these from C++; exact/prove.py judges them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from fpgaml.ir.fixed import MAX_WIDTH, Codes, FixedPoint, Overflow, Rounding

# In the order of ap_fixed.h
ROUNDINGS = tuple(Rounding[name] for name in "RND RND_ZERO RND_MIN_INF RND_INF RND_CONV TRN TRN_ZERO".split())
OVERFLOWS = tuple(Overflow[name] for name in "SAT SAT_ZERO SAT_SYM WRAP".split())
GT, GE, LT, LE, EQ, NE = range(6)  # the first parameter of a comparison


class Unproved(Exception):
    """Ends an argument with its reason."""

    def __init__(self, reason: str, output: int | None = None, place: str = "") -> None:
        super().__init__(reason)
        self.reason, self.output, self.place = reason, output, place


class Op(IntEnum):
    """What an operation does; the numbers are those of ``value.h``."""

    MUL = 4
    DIV = 5
    CAST = 6
    COMPARE = 7
    SWITCH = 8


@dataclass(frozen=True)
class Operation:
    """A node that is not affine.

    parameters: CAST width, integer bits, signed, rounding, overflow; DIV fraction bits; COMPARE relation; SWITCH code
    of its first outcome, their number, fraction bits of that code. operands, outcomes: numbers of forms. place: where
    in the C++ it was written, if that was remembered.
    """

    op: Op
    parameters: tuple[int, ...]
    fraction: int
    operands: tuple[int, ...]
    outcomes: tuple[int, ...]
    place: str

    @property
    def kind(self) -> FixedPoint:
        """The type that a CAST casts to. Raises: Unproved if it is too wide."""
        width, integer, signed, rounding, overflow = self.parameters
        if width > MAX_WIDTH:
            raise Unproved(f"a cast to {width} bits, more than {MAX_WIDTH}", None, self.place)
        return FixedPoint(width, integer, bool(signed), ROUNDINGS[rounding], OVERFLOWS[overflow])

    @property
    def loss(self) -> str:
        """Say what is not affine about it."""
        if self.op is Op.CAST:
            kind = self.kind
            return f"an assignment to {kind} can lose bits to the right, or values beyond {kind.low} to {kind.high}"
        return f"it is not affine: there is a {self.op.name.lower()} in it"


@dataclass(frozen=True)
class Cut:
    """One layer's outputs for one image: their forms, and the variables that stand for them from there on.

    layer: "" is what leaves the top function. The input has no forms (first_form -1).
    """

    layer: str
    image: int
    first_form: int
    size: int
    first_variable: int


class Obstacle(NamedTuple):
    """Why a layer could not be followed or was seen to do wrong, and where in the C++."""

    layer: str
    text: str
    place: str


@dataclass(frozen=True, eq=False)
class Forms:
    """Flat arrays: form n has the terms from starts[n] to starts[n + 1]."""

    starts: Codes
    offsets: Codes
    fractions: Codes
    columns: Codes
    coefficients: Codes

    def terms(self, form: int) -> tuple[list[int], list[int]]:
        """Return columns and coefficients of one form, columns ascending."""
        at = slice(self.starts[form], self.starts[form + 1])
        return self.columns[at].tolist(), self.coefficients[at].tolist()

    def rows(self, first: int, size: int) -> tuple[Codes, Codes, Codes]:
        """Return (row, column, coefficient) of each term of some forms."""
        bounds = self.starts[first : first + size + 1]
        at = slice(bounds[0], bounds[-1])
        return np.repeat(np.arange(size), np.diff(bounds)), self.columns[at], self.coefficients[at]


@dataclass(frozen=True, eq=False)
class SymbolicRun:
    """A whole execution: images one after the other, each with a cut for its input, each layer, and the output."""

    forms: Forms
    operations: Mapping[int, Operation]
    cuts: tuple[Cut, ...]
    obstacles: tuple[Obstacle, ...]
    counts: Mapping[str, int]
    images: int

    def cut(self, layer: str, image: int) -> Cut | None:
        """Return a layer's cut for an image; None if the program did not come so far."""
        return self.by_place.get((layer, image))

    @property
    def by_place(self) -> dict[tuple[str, int], Cut]:
        """Cuts by layer and image."""
        return {(cut.layer, cut.image): cut for cut in self.cuts}


def scaled(codes: Codes, up: Codes) -> Codes:
    """Return codes on a grid with `up` more fraction bits; what it does not hold becomes the smallest integer."""
    high, drop = np.maximum(up, 0), np.maximum(-up, 0)
    lost = (codes & ((np.int64(1) << np.minimum(drop, 62)) - 1)) != 0
    far = (high > 0) & (np.abs(codes) >> np.maximum(62 - high, 0) != 0)
    moved = (codes >> np.minimum(drop, 62)) << np.minimum(high, 62)
    return np.where(lost | far, np.iinfo(np.int64).min, moved)
