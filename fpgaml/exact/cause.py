"""Why a layer's values differ: recompute it from its inputs under each known mistake, and name the one that fits.

    diagnose(network, layer, inputs, values)      the Diagnosis that explains every value, or None

A hypothesis is a way in which tools are known to depart from a network: another rounding or overflow mode, a narrower
type, an input or weights cut off before use, a requantizer left out, a table read at another place. Each is computed
in integers, first on a few images, and named only if it gives *every* value of the layer, not merely most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import singledispatch
from math import prod

import numpy as np

from fpgaml.errors import DataError
from fpgaml.exact.emulate import Place, divide, pool_counts, prepare
from fpgaml.ir.accumulate import codes_before_cast, intervals
from fpgaml.ir.fixed import FLOAT32_EXACT, Codes, FixedPoint, Floats, Overflow, Rounding, grid
from fpgaml.ir.network import (
    Activation,
    AveragePool,
    Conv,
    Dense,
    DepthwiseConv,
    Layer,
    Network,
    Table,
    Weights,
    matrix_size,
)

FEW = 8  # images on which a hypothesis is tried before it is held against all
PRODUCTS = 200_000_000  # single products that are recomputed at most


class Cause(StrEnum):
    """A known reason for a difference."""

    SATURATION = "saturation"
    WRAP = "wrap"
    ROUNDING = "rounding mode"
    TRUNCATED_INPUT = "truncated input"
    TRUNCATED_SUM = "truncated accumulator"
    TRUNCATED_WEIGHTS = "truncated weights"
    MISSING_REQUANTIZER = "missing requantizer"
    TABLE_INDEX = "table index"
    FLOAT32 = "float32 limit"


@dataclass(frozen=True)
class Diagnosis:
    """A cause and what exactly happened."""

    cause: Cause
    text: str

    def __str__(self) -> str:
        return f"{self.cause}: {self.text}"


@dataclass(frozen=True)
class Case:
    """A layer with the codes it read and the codes it should give, as int64 (images, *shape)."""

    layer: Layer
    place: Place
    inputs: tuple[Codes, ...]
    output: Codes

    @property
    def fraction(self) -> int:
        """Fraction bits of the output."""
        return self.place.output.fraction

    def at(self, images: Codes) -> Case:
        """The same for some images."""
        return replace(self, inputs=tuple(x[images] for x in self.inputs), output=self.output[images])


Recompute = Callable[[Case], Floats]
Hypothesis = tuple[Diagnosis, Recompute]
Columns = Callable[[Codes], Codes]  # of what a layer reads: what each output position reads


def case_of(network: Network, layer: str, inputs: Mapping[str, Codes]) -> Case:
    """Return the exact output of a layer for the codes it reads, by the name of their layers."""
    ranges, shapes, found = intervals(network), network.shapes, network[layer]
    place = Place(
        tuple(ranges[s] for s in found.sources), tuple(shapes[s] for s in found.sources), ranges[layer], shapes[layer]
    )
    xs = tuple(np.asarray(inputs[s], np.int64) for s in found.sources)
    return Case(found, place, xs, _run(found, place, xs))


def _run(layer: Layer, place: Place, inputs: tuple[Codes, ...]) -> Codes:
    return np.asarray(prepare(layer, place)(*inputs)).astype(np.int64)


def diagnose(network: Network, layer: str, inputs: Mapping[str, Codes], values: Floats) -> Diagnosis | None:
    """Return what explains all `values` (images, *shape) of a layer whose inputs, as codes by name, were right.

    None if the values are right, or if no known mistake gives them all.
    """
    case = case_of(network, layer, inputs)
    expected = np.ldexp(case.output.astype(np.float64), -case.fraction)
    wrong = (expected != values).reshape(len(values), -1).any(axis=1)
    if not wrong.any():
        return None
    few = np.flatnonzero(wrong)[:FEW]
    some, seen = case.at(few), values[few]
    for diagnosis, recompute in _hypotheses(some, seen):
        if np.array_equal(recompute(some), seen) and _explains_all(diagnosis, recompute, case, values):
            return diagnosis
    return _float32(case, expected, values)


def _explains_all(diagnosis: Diagnosis, recompute: Recompute, case: Case, values: Floats) -> bool:
    count = len(values)
    if diagnosis.cause is Cause.TRUNCATED_SUM:
        rows, _ = matrix_size(case.layer) or (1, 1)
        per_image = max(1, case.output[0].size * rows)
        count = min(count, max(FEW, PRODUCTS // per_image))
    first = case if count == len(values) else case.at(np.arange(count))
    return np.array_equal(recompute(first), values[:count])


def _hypotheses(case: Case, seen: Floats) -> Iterator[Hypothesis]:
    yield from mistakes(case.layer, case, seen)
    yield from _results(case, seen)


@singledispatch
def mistakes(layer: Layer, case: Case, seen: Floats) -> Iterator[Hypothesis]:
    """Yield what can go wrong inside a layer of its kind; nothing where only the result can be wrong."""
    return iter(())


# --- Activation: its cast -------------------------------------------------------------------------------------------


@mistakes.register
def _(layer: Activation, case: Case, seen: Floats) -> Iterator[Hypothesis]:
    kind = layer.type
    bare = Diagnosis(Cause.MISSING_REQUANTIZER, f"the cast to {kind} is left out")
    yield bare, lambda case: _decoded(*_before(case))
    whole = Diagnosis(Cause.MISSING_REQUANTIZER, f"the layer is left out, with its cast to {kind}")
    yield whole, lambda case: _decoded(case.inputs[0], case.place.inputs[0].fraction)
    for other in _modes(kind):
        yield _mode_diagnosis(kind, other), lambda case, other=other: _cast_before(case, other)  # type: ignore[misc]


def _cast_before(case: Case, kind: FixedPoint) -> Floats:
    codes, fraction = _before(case)
    return kind.decode(kind.cast(codes, fraction))


def _before(case: Case) -> tuple[Codes, int]:
    """Return the codes before an Activation's cast, and their fraction bits."""
    return codes_before_cast(case.layer, case.inputs[0], case.place.inputs[0].fraction)


def _modes(kind: FixedPoint) -> Iterator[FixedPoint]:
    """Every other rounding, every other overflow, then every other pair."""
    pairs = [(r, o) for r in Rounding for o in Overflow if (r, o) != (kind.rounding, kind.overflow)]
    pairs.sort(key=lambda pair: (pair[0] is not kind.rounding) + (pair[1] is not kind.overflow))
    for rounding, overflow in pairs:
        if not (kind.signed and kind.width == 1 and overflow is Overflow.SAT_SYM):
            yield replace(kind, rounding=rounding, overflow=overflow)


def _mode_diagnosis(kind: FixedPoint, other: FixedPoint) -> Diagnosis:
    changed = []
    if other.rounding is not kind.rounding:
        changed.append(f"rounds by {other.rounding} instead of {kind.rounding}")
    if other.overflow is not kind.overflow:
        changed.append(f"overflows by {other.overflow} instead of {kind.overflow}")
    cause = Cause.ROUNDING
    if other.overflow is not kind.overflow:
        cause = Cause.WRAP if other.overflow is Overflow.WRAP else Cause.SATURATION
    return Diagnosis(cause, f"the cast to {kind} {' and '.join(changed)}")


# --- Table and mean -------------------------------------------------------------------------------------------------


@mistakes.register
def _(layer: Table, case: Case, seen: Floats) -> Iterator[Hypothesis]:
    for other in _modes(layer.index):
        text = _mode_diagnosis(layer.index, other).text
        yield Diagnosis(Cause.TABLE_INDEX, text), lambda case, other=other: _looked_up(layer, case, other, 0)  # type: ignore[misc]
    for off in (-1, 1):
        text = f"the table is read {abs(off)} entry {'before' if off < 0 else 'after'} the right one"
        yield (
            Diagnosis(Cause.TABLE_INDEX, text),
            lambda case, off=off: _looked_up(layer, case, layer.index, off),  # type: ignore[misc]
        )


def _looked_up(layer: Table, case: Case, index: FixedPoint, off: int) -> Floats:
    at = index.cast(case.inputs[0], case.place.inputs[0].fraction) - layer.index.low + off
    return layer.table.values[np.clip(at, 0, len(layer.table.codes) - 1)]


@mistakes.register
def _(layer: AveragePool, case: Case, seen: Floats) -> Iterator[Hypothesis]:
    for other in _modes(layer.type):
        yield _mode_diagnosis(layer.type, other), lambda case, other=other: _mean(layer, case, other)  # type: ignore[misc]
    for fraction in range(layer.type.fraction + 12):
        if fraction != layer.type.fraction:
            narrow = FixedPoint(40, 40 - fraction)
            text = f"the mean is cut off at {fraction} fraction bits instead of rounded to {layer.type}"
            yield Diagnosis(Cause.ROUNDING, text), lambda case, kind=narrow: _mean(layer, case, kind)  # type: ignore[misc]


def _mean(layer: AveragePool, case: Case, kind: FixedPoint) -> Floats:
    place = case.place
    padded = np.pad(case.inputs[0], ((0, 0), *layer.padding, (0, 0)))
    axes = tuple(range(1, padded.ndim - 1))
    windows = np.lib.stride_tricks.sliding_window_view(padded, layer.window, axis=axes)
    steps = (slice(None), *(slice(None, None, s) for s in layer.strides))
    total = windows[steps].sum(axis=tuple(range(-len(axes), 0)))
    counts = pool_counts(layer, place.shapes[0], place.shape)
    return kind.decode(divide(total, counts[..., None], place.inputs[0].fraction, kind))


# --- Dense and convolutions -----------------------------------------------------------------------------------------


@mistakes.register
def _(layer: Dense, case: Case, seen: Floats) -> Iterator[Hypothesis]:
    yield from _factors(layer, case)
    yield from _sums(layer, case, seen, lambda x: x.reshape(-1, x.shape[-1]))


@mistakes.register
def _(layer: Conv, case: Case, seen: Floats) -> Iterator[Hypothesis]:
    yield from _factors(layer, case)
    yield from _sums(layer, case, seen, lambda x: _columns(layer, x))


@mistakes.register
def _(layer: DepthwiseConv, case: Case, seen: Floats) -> Iterator[Hypothesis]:
    yield from _factors(layer, case)


def _factors(layer: Dense | Conv | DepthwiseConv, case: Case) -> Iterator[Hypothesis]:
    """What goes into the products: the input, kernel and bias."""
    yield from _inputs(case)
    yield from _weights(layer)


def _inputs(case: Case) -> Iterator[Hypothesis]:
    """The input cut off or rounded at fewer fraction bits."""
    have = case.place.inputs[0].fraction
    for fraction in range(have - 1, max(have - 20, -4), -1):
        for rounding, how in ((Rounding.TRN, "cut off"), (Rounding.RND_CONV, "rounded")):
            text = f"its input is {how} at {fraction} of its {have} fraction bits"
            narrow = FixedPoint(60, 60 - fraction, True, rounding, Overflow.SAT)
            yield (
                Diagnosis(Cause.TRUNCATED_INPUT, text),
                lambda case, kind=narrow: _with_input(case, kind),  # type: ignore[misc]
            )


def _with_input(case: Case, kind: FixedPoint) -> Floats:
    have = case.place.inputs[0].fraction
    coarse = kind.cast(case.inputs[0], have) << (have - kind.fraction)
    return _decoded(_run(case.layer, case.place, (coarse,)), case.fraction)


def _weights(layer: Dense | Conv | DepthwiseConv) -> Iterator[Hypothesis]:
    """Kernel or bias cut off at fewer fraction bits, or the bias left out."""
    for field in ("bias", "kernel"):
        have = getattr(layer, field)
        for drop in range(1, have.type.width):
            cut = Weights(have.codes >> drop << drop, have.type)
            changed = replace(layer, bias=cut) if field == "bias" else replace(layer, kernel=cut)
            text = f"its {field} is cut off at {have.type.fraction - drop} of its {have.type.fraction} fraction bits"
            yield Diagnosis(Cause.TRUNCATED_WEIGHTS, text), lambda case, layer=changed: _with_layer(case, layer)  # type: ignore[misc]
    bare = replace(layer, bias=Weights(np.zeros_like(layer.bias.codes), layer.bias.type))
    yield (
        Diagnosis(Cause.TRUNCATED_WEIGHTS, "its bias is left out"),
        lambda case, layer=bare: _with_layer(case, layer),  # type: ignore[misc]
    )


def _with_layer(case: Case, layer: Layer) -> Floats:
    return _decoded(_run(layer, case.place, case.inputs), case.fraction)


def _sums(layer: Dense | Conv, case: Case, seen: Floats, columns: Columns) -> Iterator[Hypothesis]:
    """Every product cut off before it is added, in an accumulator of too few bits."""
    grain = _grain(seen)
    if grain is None or grain >= case.fraction:
        return
    for fraction in range(grain, case.fraction):
        wide = FixedPoint(62, 62 - fraction)
        for kind in [wide, *(FixedPoint(n + fraction, n) for n in range(2, 17) if n + fraction > 1)]:
            what = f"{fraction} fraction bits" if kind is wide else f"{kind}"
            text = f"products are cut off and added in {what}, where {case.fraction} fraction bits are exact"
            yield Diagnosis(Cause.TRUNCATED_SUM, text), lambda case, kind=kind: _cut_sum(layer, case, kind, columns)  # type: ignore[misc]


def _cut_sum(layer: Dense | Conv, case: Case, kind: FixedPoint, columns: Columns) -> Floats:
    """Return sums of products each cut off at the fraction bits of `kind`, and wrapped to it in the end."""
    matrix = layer.kernel.codes.reshape(-1, layer.kernel.codes.shape[-1])
    rows = columns(case.inputs[0])
    drop = case.place.inputs[0].fraction + layer.kernel.type.fraction - kind.fraction
    lift = kind.fraction - layer.bias.type.fraction
    bias = layer.bias.codes << lift if lift >= 0 else layer.bias.codes >> -lift
    total = np.empty((len(rows), matrix.shape[1]), np.int64)
    for at, row in enumerate(rows):
        products = row[:, None] * matrix
        total[at] = (products >> drop if drop >= 0 else products << -drop).sum(axis=0)
    y = kind.decode(kind.cast(total + bias, kind.fraction))
    return y.reshape(case.output.shape)


def _columns(layer: Conv, x: Codes) -> Codes:
    """Return what each output position reads, (images * positions, inputs)."""
    padded = np.pad(x, ((0, 0), *layer.padding, (0, 0)))
    axes = tuple(range(1, padded.ndim - 1))
    views = np.lib.stride_tricks.sliding_window_view(padded, layer.window, axis=axes)
    steps = (slice(None), *(slice(None, None, s) for s in layer.strides))
    return np.moveaxis(views[steps], len(axes) + 1, -1).reshape(-1, prod(layer.window) * x.shape[-1])


# --- any exact result: a cast that should not be there --------------------------------------------------------------


def _results(case: Case, seen: Floats) -> Iterator[Hypothesis]:
    """The right result cast to a type of fewer bits."""
    grain = _grain(seen)
    if grain is None:
        return
    for fraction in range(min(grain, case.fraction), min(grain + 2, case.fraction) + 1):
        roundings = Rounding if fraction < case.fraction else (Rounding.TRN,)
        for rounding in roundings:
            for integer in (*range(1, 24), 50):
                for signed in (True, False):
                    for overflow in (Overflow.WRAP, Overflow.SAT, Overflow.SAT_SYM):
                        width = integer + fraction
                        if not 2 <= width <= 62 or (integer == 50 and (overflow is not Overflow.WRAP or not signed)):
                            continue
                        kind = FixedPoint(width, integer, signed, rounding, overflow)
                        yield (
                            _result_diagnosis(kind, case),
                            lambda case, kind=kind: kind.decode(kind.cast(case.output, case.fraction)),  # type: ignore[misc]
                        )


def _result_diagnosis(kind: FixedPoint, case: Case) -> Diagnosis:
    if kind.integer == 50:
        text = f"the result is rounded by {kind.rounding} to {kind.fraction} of its {case.fraction} fraction bits"
        return Diagnosis(Cause.ROUNDING, text)
    cause = Cause.WRAP if kind.overflow is Overflow.WRAP else Cause.SATURATION
    return Diagnosis(cause, f"the result is cast to {kind}, which does not hold its values")


def _float32(case: Case, expected: Floats, values: Floats) -> Diagnosis | None:
    """Return the float32 limit if sums can leave 24 bits and every value is off by no more than float32 may be."""
    if case.place.output.size <= FLOAT32_EXACT:
        return None
    rows, _ = matrix_size(case.layer) or (1, 1)
    terms = rows + 1
    bound = np.ldexp(float(case.place.output.size), -case.fraction) * terms * 2.0**-24
    if np.abs(expected - values).max() > bound or not np.array_equal(values, values.astype(np.float32)):
        return None
    bits = case.place.output.bits
    return Diagnosis(Cause.FLOAT32, f"its sums need up to {bits} bits, more than float32's 24 and sign: it rounds them")


def _grain(values: Floats) -> int | None:
    """Return the fraction bits that `values` use; None if they are on no reasonable grid."""
    try:
        return max(grid(values)[1], 0)
    except DataError:
        return None


def _decoded(codes: Codes, fraction: int) -> Floats:
    return np.ldexp(codes.astype(np.float64), -fraction)
