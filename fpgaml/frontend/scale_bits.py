"""To how many bits batch normalization and slopes are rounded: the fewest for which nothing differs.

    settled = settle(model, ...)      Settled, or None if nothing is rounded so
    settled.reading                   the Reading with that many bits
    settled.cause                     why values differ from Keras, found by recomputing; empty if none do

Floating-point scales are on no grid. So each number of bits is tried on the data, from the first whose error is
proved to stay below half a step of the next cast: the values behind each cast must be those of Keras. What differs is
told apart by the same network with its scales as they are, in float64: where that differs from Keras, float32 is the
cause, and where it differs from the network with rounded scales, the rounding is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

import numpy as np

from fpgaml.errors import ConfigError, UnsupportedLayer
from fpgaml.exact import emulate, reals
from fpgaml.exact.agreement import decoded
from fpgaml.exact.comparison import classify
from fpgaml.exact.deviation import off_grid, reach
from fpgaml.frontend.inspection import keras_values
from fpgaml.frontend.read import SCALE_BITS, Known, Reading, read
from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.fixed import Codes, FixedPoint, Floats
from fpgaml.ir.network import Network, weights_of

FEWEST = 4
MOST = 32
HALF = 0.5  # of a step
IMAGES = 1000  # on which bits are tried at most
QUICK = 4  # that show most numbers of bits to be too few
FEW, VALUES = 32, 4_000_000  # at least so many; no more than have so many values in all layers
ROUNDING, FLOAT32, TABLES = "rounded to a stated grid", "float32 limit", "a float function is a table"

ReadAt = Callable[[int], Reading]
Values = dict[str, Floats]


@dataclass(frozen=True)
class Settled:
    """How many bits were taken, and what that changes.

    unlike: values behind casts that differ from Keras, of `values` on `images` images; `by_rounding` differ from the
    same network with its real scales, `by_float32` are those in which that differs from Keras. reach: the largest error
    before a cast, in its steps, for any input; None if no cast follows the last rounding.
    """

    reading: Reading
    bits: int
    stated: bool
    unlike: int
    by_rounding: int
    by_float32: int
    values: int
    images: int
    reach: float | None

    @property
    def good(self) -> bool:
        """Whether no more differs than float32 makes differ, and the bound, if there is one, is below half a step."""
        return self.unlike <= self.by_float32 and (self.reach is None or self.reach < HALF or np.isinf(self.reach))

    @property
    def cause(self) -> str:
        """Why values differ from Keras, the layers behind the last cast included; empty if they do not."""
        network = self.reading.network
        tables = set(self.reading.apart) - set(self.reading.real)
        causes = [ROUNDING] if self.by_rounding or network.output.name in off_grid(network, self.reading.real) else []
        if self.by_float32:
            causes.append(TABLES if tables else FLOAT32)
        return " and ".join(causes)

    @property
    def text(self) -> str:
        """The choice in one sentence: what was observed, what is proved, and what it costs."""
        why = "as stated" if self.stated else "the fewest that do" if self.good else "the best found"
        why = why if self.stated or self.reach is not None else "for no cast follows that would hide the rounding"
        seen = f"observed: {self.unlike:,} of {self.values:,} values behind casts differ from Keras on "
        seen += f"{self.images:,} images"
        if self.unlike:
            rest = "by a float function that is a table" if self.cause.endswith(TABLES) else "by float32"
            seen += f", {self.by_float32:,} {rest}, {self.by_rounding:,} by this rounding"
        bound = "no bound is known for the error"
        if self.reach is not None and np.isfinite(self.reach):
            side = "below" if self.reach < HALF else "not below"
            off = f"before a cast values are off by at most {self.reach:.2g} steps"
            bound = f"proved for any input: {off}, {side} half a step"
        cost = f"multipliers: {multipliers(self.reading)}"
        return f"scales are rounded to {self.bits} bits, {why}; {seen}; {bound}; {cost}"


def multipliers(reading: Reading) -> str:
    """Return how many multipliers the rounded weights take, and of how many bits, as words."""
    network, types = reading.network, tensor_types(reading.network)
    found: Counter[tuple[int, int]] = Counter()
    for name in reading.real:
        for weights in (w for field, w in weights_of(network[name]).items() if field != "bias"):
            found[weights.type.width, types[network[name].sources[0]].width] += weights.codes.size
    return ", ".join(f"{n} of {scale} x {x} bits" for (scale, x), n in sorted(found.items())) or "none"


def settle(model: Any, *, name: str, input_type: FixedPoint, codes: Codes, stated: int | None = None) -> Settled | None:
    """Return the fewest bits for which no value behind a cast differs from Keras for input `codes` (images, *shape).

    Where float32 makes values differ whatever the bits, the fewest with which no more do. stated: the number to take,
    `read`'s scale_bits; then only what it changes is found.
    """

    known: Known = {}

    @cache
    def read_at(bits: int) -> Reading:
        given = stated and bits
        return read(model, name=name, input_type=input_type, scale_bits=given, bits=bits, known=known)

    first = read_at(stated or SCALE_BITS)
    if not first.real:
        return None
    one = sum(prod(shape) for shape in first.network.shapes.values())
    codes = codes[: max(FEW, min(IMAGES, VALUES // one))]
    real = _checked(first, reals.values(first.network, first.real, codes))
    theirs = _checked(first, _keras(model, first, codes))
    hidden = _ends_in_casts(first)

    def tried(bits: int, count: int = IMAGES) -> Settled:
        reading = read_at(bits)
        off = reach(reading.network, reading.real) if hidden else None
        keras, exact = ({name: array[:count] for name, array in one.items()} for one in (theirs, real))
        ours = _checked(reading, _ours(reading.network, codes[:count]))
        counts = _unlike(ours, keras), _unlike(ours, exact), _unlike(exact, keras)
        size = sum(values.size for values in keras.values())
        return Settled(reading, bits, stated is not None, *counts, size, len(codes[:count]), off)

    if stated:
        return tried(stated)
    few: dict[int, int] = {}  # values that differ on a few images, where that many bits are not enough
    for bits in range(FEWEST if hidden else SCALE_BITS, MOST + 1):
        with suppress(ConfigError, UnsupportedLayer):  # too wide with so many bits
            quick = tried(bits, QUICK)
            if quick.good and (found := tried(bits)).good:
                return found
            few[bits] = quick.unlike
    return tried(min(few, key=lambda bits: few[bits], default=SCALE_BITS))


def _ends_in_casts(reading: Reading) -> bool:
    """Return whether a cast follows each rounding."""
    return reading.network.output.name not in off_grid(reading.network, reading.real)


def _checked(reading: Reading, values: Values) -> Values:
    """Return the values behind casts; the classes (images,) if the output is behind none."""
    network = reading.network
    off, out = off_grid(network, reading.real), network.output.name
    found = {name: array for name, array in values.items() if name not in off}
    if out in off and out in values:
        found["class"] = classify(values[out]).astype(np.float64)
    return found


def _ours(network: Network, codes: Codes) -> Values:
    return decoded(network, emulate.trace(network, codes))


def _keras(model: Any, reading: Reading, codes: Codes) -> Values:
    network = reading.network
    behind = {ours: theirs for ours, theirs in reading.alike.items() if ours not in reading.keras_names}
    found = keras_values(model, behind, network.input.type.decode(codes))
    return {name: array.reshape(-1, *network.shapes[name]) for name, array in found.items()}


def _unlike(one: Values, other: Values) -> int:
    both = [name for name in one if name in other]
    return sum(int((one[name] != other[name]).sum()) for name in both)
