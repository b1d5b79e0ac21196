"""Is a layer of the C++ the Network's, for every input whatever? The argument, one kind of layer at a time.

    judge(network, run)      a Verdict for each layer, from what symbolic execution found

Each layer is seen by itself: its inputs are variables, each with the interval that `accumulate.intervals` gives it.

    affine        every output is an affine form with the Network's own coefficients: no assignment on the way could
                  round or overflow for any input
    exhaustive    every output is the same function of one number (its own input, or the sum of its window), and that
                  function was compared with the Network's on every code the number can have
    steps         the same, where there are too many codes: neither function ever falls, and they step up at the same
                  codes; or both are affine between the same few codes, and agree at these
    order         a maximum or the first maximum: the comparisons made imply it
    not proved    anything else, with the reason

Layers after layers: if each is equal on all its inputs, and its outputs stay in their interval, so is the whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial, singledispatch
from math import prod
from typing import NamedTuple

import numpy as np

from fpgaml.exact import emulate
from fpgaml.exact.forms import Cut, Op, SymbolicRun, Unproved, scaled
from fpgaml.exact.order import first_maximum, maximum
from fpgaml.exact.unary import SATURATING, Reader, choice_of, evaluate, fits, is_choice, pieces, rises, steps
from fpgaml.ir.accumulate import Interval, before_cast, intervals, tensor_types
from fpgaml.ir.fixed import Codes, FixedPoint
from fpgaml.ir.network import (
    Activation,
    Add,
    Affine,
    ArgMax,
    AveragePool,
    Concatenate,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    Function,
    Layer,
    MaxPool,
    Multiply,
    Network,
    Pad,
    PRelu,
    Reshape,
    Shape,
    Table,
    Upsample,
    Weights,
)

EXHAUSTIVE = 1 << 22  # codes that are run one by one


class Method(StrEnum):
    """How a layer was proved."""

    AFFINE = "affine"
    EXHAUSTIVE = "exhaustive"
    STEPS = "steps"
    ORDER = "order"
    NONE = "not proved"


@dataclass(frozen=True)
class Verdict:
    """What is known of one layer.

    covers: what was looked at, in words; reason: empty if it is proved, else the first thing that is wrong; output: of
    which output; place: file and line in the C++, if it is known.
    """

    layer: str
    kind: str
    method: Method
    covers: str
    reason: str = ""
    output: int | None = None
    place: str = ""
    seconds: float = field(default=0.0, compare=False)

    @property
    def proved(self) -> bool:
        """Whether the layer is equal for every input."""
        return not self.reason


@dataclass(frozen=True)
class Site:
    """A layer of one image in its surroundings: numbers of the variables it reads, intervals, shapes, what came out."""

    run: SymbolicRun
    cut: Cut
    variables: tuple[Codes, ...]  # of each source, in its shape
    inputs: tuple[Interval, ...]
    shapes: tuple[Shape, ...]
    output: Interval
    shape: Shape
    fraction: int  # of the output's type


def judge(network: Network, run: SymbolicRun) -> list[Verdict]:
    """Return a verdict for every layer but the input, in order, and one called "" for what leaves the top function."""
    layers = [partial(_judge_layer, network, layer, run) for layer in network if layer.sources]
    return [_timed(one) for one in (*layers, partial(_judge_output, network, run))]


def _timed(judged: Callable[[], Verdict]) -> Verdict:
    start = time.perf_counter()
    found = judged()
    return replace(found, seconds=round(time.perf_counter() - start, 3))


def _judge_layer(network: Network, layer: Layer, run: SymbolicRun) -> Verdict:
    kind = type(layer).__name__
    obstacles = [o for o in run.obstacles if o.layer == layer.name]
    if obstacles:
        return Verdict(layer.name, kind, Method.NONE, "", obstacles[0].text, None, obstacles[0].place)
    cuts = [cut for image in range(run.images) if (cut := run.cut(layer.name, image))]
    if not cuts and _renames(network, layer):
        return Verdict(layer.name, kind, Method.AFFINE, "no C++ of its own: it only renames what it reads")
    if len(cuts) < run.images:
        return Verdict(layer.name, kind, Method.NONE, "", "the C++ did not come so far")
    covers, method = "", Method.NONE
    for cut in cuts:
        try:
            method, covers = argue(layer, _site(network, layer, run, cut))
        except Unproved as end:
            return Verdict(layer.name, kind, Method.NONE, covers, end.reason, end.output, end.place)
    return Verdict(layer.name, kind, method, covers)


def _judge_output(network: Network, run: SymbolicRun) -> Verdict:
    """Hold what leaves the top function against the last layer's outputs, one for one."""
    for image in range(run.images):
        cut = run.cut("", image)
        if cut is None:
            return Verdict("", "output", Method.NONE, "", "the C++ did not come so far")
        obstacles = [o for o in run.obstacles if not o.layer]
        if obstacles:
            return Verdict("", "output", Method.NONE, "", obstacles[0].text, None, obstacles[0].place)
        want = _variables(network, network.output.name, run, image).ravel()
        ones = np.ones(len(want), np.int64)
        try:
            fraction = tensor_types(network)[network.output.name].fraction
            _same_forms(run, cut, fraction, (np.arange(len(want)), want, ones), np.zeros(len(want), np.int64))
        except Unproved as end:
            return Verdict("", "output", Method.NONE, "", end.reason, end.output, end.place)
    return Verdict("", "output", Method.AFFINE, "the last layer's outputs, each in its place")


def _renames(network: Network, layer: Layer) -> bool:
    """Return whether a layer is the identity on its codes in row-major order."""
    if isinstance(layer, Activation):
        types = tensor_types(network)
        return layer.function is Function.LINEAR and types[layer.name] == types[layer.sources[0]]
    return layer.renames


def _variables(network: Network, name: str, run: SymbolicRun, image: int) -> Codes:
    """Return the numbers of the variables that stand for a layer's output, in its shape."""
    cut = run.cut(name, image)
    if cut is not None:
        return np.arange(cut.first_variable, cut.first_variable + cut.size).reshape(network.shapes[name])
    layer = network[name]
    if not _renames(network, layer):
        raise Unproved(f"the C++ does not show layer {name!r}")
    return _variables(network, layer.sources[0], run, image).reshape(network.shapes[name])


def _site(network: Network, layer: Layer, run: SymbolicRun, cut: Cut) -> Site:
    ranges, shapes = intervals(network), network.shapes
    if cut.size != prod(shapes[layer.name]):
        raise Unproved(f"the C++ has {cut.size} outputs, the network {prod(shapes[layer.name])}")
    return Site(
        run,
        cut,
        tuple(_variables(network, source, run, cut.image) for source in layer.sources),
        tuple(ranges[source] for source in layer.sources),
        tuple(shapes[source] for source in layer.sources),
        ranges[layer.name],
        shapes[layer.name],
        tensor_types(network)[layer.name].fraction,
    )


# --- affine layers ---------------------------------------------------------------------------------------------------

Triples = tuple[Codes, Codes, Codes]  # row (which output), column (which variable), coefficient


@singledispatch
def argue(layer: Layer, site: Site) -> tuple[Method, str]:
    """Return how a layer is proved and what that covers. Raises: Unproved."""
    raise Unproved(f"no argument for a {type(layer).__name__}")


def _affine(site: Site, terms: Triples, offsets: Codes) -> tuple[Method, str]:
    _same_forms(site.run, site.cut, site.fraction, terms, offsets)
    low, high = _reach(site, terms, offsets)
    if low < site.output.low or high > site.output.high:
        raise Unproved(f"outputs reach {low} to {high}, outside the interval that the next layer was proved for")
    size = f"{len(offsets):,} outputs, {np.count_nonzero(terms[2]):,} coefficients"
    return Method.AFFINE, size


def _reach(site: Site, terms: Triples, offsets: Codes) -> tuple[int, int]:
    """Return the smallest and largest code of any output."""
    rows, columns, coefficients = terms
    low, high = offsets.copy(), offsets.copy()
    for variables, interval in zip(site.variables, site.inputs, strict=True):
        own = (columns >= variables.min()) & (columns <= variables.max())
        ends = coefficients[own] * interval.low, coefficients[own] * interval.high
        np.add.at(low, rows[own], np.minimum(*ends))
        np.add.at(high, rows[own], np.maximum(*ends))
    return int(low.min()), int(high.max())


def _same_forms(run: SymbolicRun, cut: Cut, fraction: int, terms: Triples, offsets: Codes) -> None:
    """Hold the forms of a cut against expected ones. Raises: Unproved at the first that differs."""
    rows, columns, coefficients = run.forms.rows(cut.first_form, cut.size)
    strange = [int(c) for c in np.unique(columns) if int(c) in run.operations]
    if strange:
        at = int(rows[columns == strange[0]][0])
        raise Unproved(run.operations[strange[0]].loss, at, run.operations[strange[0]].place)
    mine = slice(cut.first_form, cut.first_form + cut.size)
    up = fraction - run.forms.fractions[mine].astype(np.int64)
    coefficients, found_offsets = scaled(coefficients, up[rows]), scaled(run.forms.offsets[mine], up)
    wanted = terms[2] != 0
    order = np.lexsort((terms[1][wanted], terms[0][wanted]))
    want = [array[wanted][order] for array in terms]
    wrong = found_offsets != offsets
    if len(rows) == len(want[0]):
        uneven = (rows != want[0]) | (columns != want[1]) | (coefficients != want[2])
    else:
        uneven = np.ones(0, bool)
        wrong |= np.bincount(rows, minlength=cut.size) != np.bincount(want[0], minlength=cut.size)
    wrong[rows[: len(uneven)][uneven]] = True
    wrong[want[0][: len(uneven)][uneven]] = True
    if wrong.any():
        raise Unproved(_difference(run, cut, int(np.flatnonzero(wrong)[0]), int(wrong.sum()), want, offsets, fraction))


def _difference(
    run: SymbolicRun, cut: Cut, row: int, count: int, want: list[Codes], offsets: Codes, fraction: int
) -> str:
    """Say how one output differs from what it should be."""
    form = cut.first_form + row
    scale = 2.0 ** -int(run.forms.fractions[form])
    found = {c: k * scale for c, k in zip(*run.forms.terms(form), strict=True)}
    own = want[0] == row
    wanted = {int(c): int(k) * 2.0**-fraction for c, k in zip(want[1][own], want[2][own], strict=True)}
    text = f"{count} of {cut.size} outputs differ"
    for column in sorted({*found, *wanted}):
        has, should = found.get(column, 0.0), wanted.get(column, 0.0)
        if has != should:
            return f"{text}: output {row} takes {_named(run, column)} times {has:g}, not {should:g}"
    offset = int(run.forms.offsets[form]) * scale
    return f"{text}: output {row} has the constant {offset:g}, not {int(offsets[row]) * 2.0**-fraction:g}"


def _named(run: SymbolicRun, variable: int) -> str:
    """Return whose output a variable stands for."""
    for cut in run.cuts:
        if cut.first_variable <= variable < cut.first_variable + cut.size and cut.layer:
            image = "" if cut.image == 0 else f" of image {cut.image + 1}"
            return f"value {variable - cut.first_variable} of {cut.layer!r}{image}"
    return f"variable {variable}"


def _weighted(site: Site, taps: Codes, kernel: Weights, bias: Weights) -> tuple[Method, str]:
    """Argue a weighted sum. taps: variables (positions, products), -1 for padding; kernel: (products, outputs)."""
    flat = kernel.codes.reshape(-1, kernel.codes.shape[-1])
    positions, products = taps.shape
    outputs = flat.shape[1]
    up = site.fraction - site.inputs[0].fraction - kernel.type.fraction
    rows = np.arange(positions * outputs).reshape(positions, 1, outputs)
    shape = (positions, products, outputs)
    columns = np.broadcast_to(taps[:, :, None], shape)
    real = (columns >= 0).ravel()
    terms = (
        np.broadcast_to(rows, shape).ravel()[real],
        columns.ravel()[real],
        np.broadcast_to(flat << up, shape).ravel()[real],
    )
    return _affine(site, terms, np.tile(bias.codes << (site.fraction - bias.type.fraction), positions))


@argue.register
def _(layer: Dense, site: Site) -> tuple[Method, str]:
    return _weighted(site, site.variables[0].reshape(-1, layer.kernel.codes.shape[0]), layer.kernel, layer.bias)


@argue.register
def _(layer: Conv, site: Site) -> tuple[Method, str]:
    window = layer.kernel.codes.shape[:-2]
    taps = _taps(site.variables[0], window, layer.strides, layer.padding, site.shape)
    return _weighted(site, taps.reshape(prod(site.shape[:-1]), -1), layer.kernel, layer.bias)


@argue.register
def _(layer: DepthwiseConv, site: Site) -> tuple[Method, str]:
    taps = _taps(site.variables[0], layer.kernel.codes.shape[:-1], layer.strides, layer.padding, site.shape)
    return _by_channel(site, taps, layer.kernel, layer.bias)


@argue.register
def _(layer: Affine, site: Site) -> tuple[Method, str]:
    taps = site.variables[0].reshape(-1, 1, layer.scale.codes.shape[0])
    return _by_channel(site, taps, layer.scale, layer.bias)


def _by_channel(site: Site, taps: Codes, kernel: Weights, bias: Weights) -> tuple[Method, str]:
    """Argue a sum within each channel. taps: (positions, products, channels)."""
    positions, products, channels = taps.shape
    up = site.fraction - site.inputs[0].fraction - kernel.type.fraction
    rows = np.broadcast_to(np.arange(positions * channels).reshape(positions, 1, channels), taps.shape).ravel()
    weights = np.broadcast_to(kernel.codes.reshape(1, products, channels) << up, taps.shape).ravel()
    real = taps.ravel() >= 0
    terms = rows[real], taps.ravel()[real], weights[real]
    return _affine(site, terms, np.tile(bias.codes << (site.fraction - bias.type.fraction), positions))


def _taps(variables: Codes, window: Shape, strides: Shape, padding: tuple[tuple[int, int], ...], y: Shape) -> Codes:
    """Return the variables under each window, (positions, taps, channels) in row-major order; -1 is padding."""
    padded = np.pad(variables, (*padding, (0, 0)), constant_values=-1)
    positions = np.indices(y[:-1]).reshape(len(window), -1, 1) * np.reshape(strides, (-1, 1, 1))
    offsets = np.indices(window).reshape(len(window), 1, -1)
    return np.asarray(padded[tuple(positions + offsets)])


def _moved(site: Site, variables: Codes, ups: Codes) -> tuple[Method, str]:
    """Argue that each output is one variable (-1: zero), scaled by ``2**up``."""
    flat, real = variables.ravel(), variables.ravel() >= 0
    scales = np.broadcast_to(np.int64(1) << ups, variables.shape).ravel()
    return _affine(site, (np.flatnonzero(real), flat[real], scales[real]), np.zeros(len(flat), np.int64))


@argue.register(Flatten)
@argue.register(Reshape)
def _(layer: Layer, site: Site) -> tuple[Method, str]:
    return _moved(site, site.variables[0], np.asarray(site.fraction - site.inputs[0].fraction))


@argue.register
def _(layer: Pad, site: Site) -> tuple[Method, str]:
    padded = np.pad(site.variables[0], (*layer.padding, (0, 0)), constant_values=-1)
    return _moved(site, padded, np.asarray(site.fraction - site.inputs[0].fraction))


@argue.register
def _(layer: Upsample, site: Site) -> tuple[Method, str]:
    repeated = site.variables[0]
    for axis, factor in enumerate(layer.factors):
        repeated = np.repeat(repeated, factor, axis)
    return _moved(site, repeated, np.asarray(site.fraction - site.inputs[0].fraction))


@argue.register
def _(layer: Concatenate, site: Site) -> tuple[Method, str]:
    ups = [np.full(v.shape, site.fraction - i.fraction) for v, i in zip(site.variables, site.inputs, strict=True)]
    return _moved(site, np.concatenate(site.variables, axis=-1), np.concatenate(ups, axis=-1))


@argue.register
def _(layer: Add, site: Site) -> tuple[Method, str]:
    count = prod(site.shape)
    rows = np.tile(np.arange(count), len(site.variables))
    columns = np.concatenate([v.ravel() for v in site.variables])
    scales = np.repeat([1 << (site.fraction - i.fraction) for i in site.inputs], count)
    rows, columns, scales = _merged(rows, columns, scales)
    return _affine(site, (rows, columns, scales), np.zeros(count, np.int64))


def _merged(rows: Codes, columns: Codes, values: Codes) -> Triples:
    """Add up the coefficients of the same variable in the same output."""
    places, inverse = np.unique(np.stack([rows, columns]), axis=1, return_inverse=True)
    total = np.zeros(places.shape[1], np.int64)
    np.add.at(total, inverse.ravel(), values)
    return places[0], places[1], total


@argue.register
def _(layer: Multiply, site: Site) -> tuple[Method, str]:
    x, y = (v.ravel().tolist() for v in site.variables)
    up = site.fraction - sum(i.fraction for i in site.inputs)
    for at, form in enumerate(range(site.cut.first_form, site.cut.first_form + site.cut.size)):
        columns, coefficients = site.run.forms.terms(form)
        operation = site.run.operations.get(columns[0]) if len(columns) == 1 else None
        if operation is None or operation.op is not Op.MUL or site.run.forms.offsets[form]:
            lost = operation and operation.loss
            raise Unproved(lost or "it is no product of its two inputs", at, operation.place if operation else "")
        factors = [site.run.forms.terms(operand) for operand in operation.operands]
        pure = [(c[0], k[0]) for c, k in factors if len(c) == 1]
        scale = coefficients[0] * prod(k for _, k in pure)
        moved = up - (int(site.run.forms.fractions[form]) - sum(i.fraction for i in site.inputs))
        if sorted(c for c, _ in pure) != sorted((x[at], y[at])) or scale != 1 or moved != 0:
            raise Unproved("it is no product of its two inputs", at)
    return Method.AFFINE, f"{site.cut.size:,} products of two variables"


# --- functions of one number, and order ------------------------------------------------------------------------------


class Wanted(NamedTuple):
    """The Network's function of one number: output codes for numbers t, and what is known of its shape.

    rises: whether it never falls on an interval. affine: whether it loses nothing, so that it is affine up to zero and
    from there on.
    """

    codes: Callable[[Codes], Codes]
    rises: Callable[[int, int], bool]
    affine: bool = False


Arguments = Iterator[tuple[tuple[int, ...], Interval, Wanted]]


def _unary(site: Site, arguments: Arguments) -> tuple[Method, str]:
    """Argue that each output is the Network's function of its own argument.

    arguments: of each output, its variables, the interval of their sum, and what it should be of that.
    """
    reader, seen, most, method = Reader(site.run), set(), 0, Method.EXHAUSTIVE
    for at, (columns, interval, wanted) in enumerate(arguments):
        found = reader.unary(site.cut.first_form + at)
        if found.columns not in ((), columns):
            raise Unproved("it reads other values than its own", at)
        if (found.key, interval, wanted) in seen:
            continue
        seen.add((found.key, interval, wanted))
        most = max(most, interval.high - interval.low + 1)
        if interval.high - interval.low < EXHAUSTIVE:
            t = np.arange(interval.low, interval.high + 1)
            _same_codes(site, at, evaluate(found.key, t), wanted.codes(t), t)
        else:
            method = Method.STEPS
            (_same_pieces if wanted.affine else _same_steps)(site, at, found.key, interval, wanted)
    return method, f"{site.cut.size:,} outputs, {len(seen)} different functions of up to {most:,} codes"


def _same_steps(site: Site, at: int, key: object, interval: Interval, wanted: Wanted) -> None:
    """Hold two rising functions against each other at both sides of each step. Raises: Unproved."""
    low, high = interval.low, interval.high
    if not wanted.rises(low, high) or not rises(key, low, high):
        raise Unproved(f"{high - low + 1:,} codes are too many to run them all, and it is not seen to rise", at)
    starts = steps(key, low, high)
    t = np.unique(np.concatenate([starts, starts[1:] - 1, [high]]))
    _same_codes(site, at, evaluate(key, t), wanted.codes(t), t)


def _same_pieces(site: Site, at: int, key: object, interval: Interval, wanted: Wanted) -> None:
    """Hold two functions made of affine pieces against each other at both ends of each. Raises: Unproved."""
    ends = [end for piece in pieces(key, interval.low, interval.high) for end in piece]
    ends += [end for end in (0, 1) if interval.low <= end <= interval.high]
    t = np.unique(np.array(ends, np.int64))
    _same_codes(site, at, evaluate(key, t), wanted.codes(t), t)


def _same_codes(site: Site, at: int, found: tuple[Codes, int], want: Codes, t: Codes) -> None:
    """Hold one function's codes against the Network's. Raises: Unproved with the first input code that differs."""
    codes, fraction = found
    wrong = np.flatnonzero(scaled(codes, np.full(len(codes), site.fraction - fraction)) != want)
    if wrong.size:
        n = wrong[0]
        raise Unproved(
            f"{wrong.size:,} of {len(t):,} input codes give another output; the first, {t[n]}, gives "
            f"{codes[n] * 2.0**-fraction:g}, not {want[n] * 2.0**-site.fraction:g}",
            at,
        )
    if want.min() < site.output.low or want.max() > site.output.high:
        raise Unproved("outputs leave the interval that the next layer was proved for", at)


def _one_each(site: Site, wanted: Wanted) -> Arguments:
    return (((int(v),), site.inputs[0], wanted) for v in site.variables[0].ravel())


def _emulated(layer: Layer, site: Site) -> Callable[[Codes], Codes]:
    """Return the Network's own function of one code."""
    step = emulate.prepare(layer, emulate.Place(site.inputs, ((1,),), site.output, (1,)))
    word = emulate.word(*site.inputs)
    return lambda t: np.asarray(step(t.astype(word)[:, None])[:, 0]).astype(np.int64)


def _cast_rises(kind: FixedPoint, fraction: int) -> Callable[[int, int], bool]:
    """Return whether a cast never falls on an interval of codes with `fraction` fraction bits."""
    key = (fraction, 0, 1)
    return lambda low, high: kind.overflow in SATURATING or fits(key, kind, low, high)


@argue.register
def _(layer: Activation, site: Site) -> tuple[Method, str]:
    before = before_cast(layer, site.inputs[0])
    cast = _cast_rises(layer.type, before.fraction)
    exact = before.fraction <= layer.type.fraction and fits(
        (before.fraction, 0, 1), layer.type, before.low, before.high
    )
    rising = layer.slope >= 0 and cast(before.low, before.high)
    wanted = Wanted(_emulated(layer, site), lambda _low, _high: rising, exact)
    return _unary(site, _one_each(site, wanted))


@argue.register
def _(layer: PRelu, site: Site) -> tuple[Method, str]:
    slopes = np.broadcast_to(layer.slopes.codes, site.shape).ravel().tolist()

    def wanted(slope: int) -> Wanted:
        one = replace(layer, slopes=Weights(np.array([slope]), layer.slopes.type))
        return Wanted(_emulated(one, site), lambda _low, _high: slope >= 0, affine=True)

    each = {slope: wanted(slope) for slope in set(slopes)}
    variables = site.variables[0].ravel().tolist()
    return _unary(site, (((v,), site.inputs[0], each[s]) for v, s in zip(variables, slopes, strict=True)))


@argue.register
def _(layer: Table, site: Site) -> tuple[Method, str]:
    x, index = site.inputs[0], layer.index
    ends = index.cast([x.low, x.high], x.fraction) - index.low
    indexed = _cast_rises(index, x.fraction)(x.low, x.high)
    sorted_ = indexed and bool((np.diff(layer.table.codes[ends[0] : ends[1] + 1]) >= 0).all())
    if sorted_ or x.high - x.low < EXHAUSTIVE:
        return _unary(site, _one_each(site, Wanted(_emulated(layer, site), lambda _low, _high: sorted_)))
    if not indexed:
        raise Unproved(f"{x.high - x.low + 1:,} codes are too many to run them all, and its index does not rise")
    return _wide_table(layer, site)


def _wide_table(layer: Table, site: Site) -> tuple[Method, str]:
    """Argue a table of an input with many codes: its index steps as it should, and its entries are the table's."""
    x, index = site.inputs[0], layer.index
    reader, seen = Reader(site.run), set()
    for at, variable in enumerate(site.variables[0].ravel()):
        found = reader.unary(site.cut.first_form + at)
        if found.columns != (int(variable),) or not is_choice(found.key):
            raise Unproved("it is no table of its own value", at)
        if found.key in seen:
            continue
        seen.add(found.key)
        selector, entries = choice_of(found.key)
        wanted = Wanted(lambda t: index.cast(t, x.fraction), lambda _low, _high: True)
        own = replace(site, fraction=index.fraction, output=Interval.of(index))
        _same_steps(own, at, selector, x, wanted)
        first, last = (int(index.cast([end], x.fraction)[0]) for end in (x.low, x.high))
        codes = np.arange(first, last + 1)
        _same_codes(site, at, entries(codes), layer.table.codes[codes - index.low], codes)
    return (
        Method.STEPS,
        f"{site.cut.size:,} outputs, {len(seen)} different tables of {layer.table.codes.size:,} entries",
    )


@argue.register
def _(layer: AveragePool, site: Site) -> tuple[Method, str]:
    taps = _taps(site.variables[0], layer.window, layer.strides, layer.padding, site.shape)
    x = site.inputs[0]

    def mean(count: int) -> Wanted:
        rises = _cast_rises(layer.type, x.fraction)  # of values between x.low and x.high, which the mean is
        return Wanted(
            lambda t: emulate.divide(t, np.asarray(count), x.fraction, layer.type),
            lambda _low, _high: rises(x.low, x.high),
        )

    means = {count: mean(count) for count in range(1, taps.shape[1] + 1)}

    def arguments() -> Arguments:
        for window in taps.transpose(0, 2, 1).reshape(-1, taps.shape[1]):
            own = tuple(sorted(int(v) for v in window if v >= 0))
            yield own, Interval(len(own) * x.low, len(own) * x.high, x.fraction), means[len(own)]

    return _unary(site, arguments())


@argue.register
def _(layer: MaxPool, site: Site) -> tuple[Method, str]:
    taps = _taps(site.variables[0], layer.window, layer.strides, layer.padding, site.shape)
    x = site.inputs[0]
    for at, window in enumerate(taps.transpose(0, 2, 1).reshape(-1, taps.shape[1])):
        found, floor = maximum(site.run, site.cut.first_form + at, x.fraction)
        own = {int(v) for v in window if v >= 0}
        complete = found == own or (x.low == x.high and found <= own and found)  # one code only: all are the maximum
        if not complete or (floor is not None and floor > x.low):
            raise Unproved("it is not the maximum of its window", at)
    return Method.ORDER, f"{site.cut.size:,} maxima of {taps.shape[1]} values"


@argue.register
def _(layer: ArgMax, site: Site) -> tuple[Method, str]:
    forms = list(range(site.cut.first_form, site.cut.first_form + site.cut.size))
    classes = {int(v): n for n, v in enumerate(site.variables[0].ravel())}
    return Method.ORDER, f"all {first_maximum(site.run, classes, forms):,} outcomes of its comparisons"
