"""Small random networks of every kind of layer, for hypothesis: `chains()`."""

from math import prod

import numpy as np
from hypothesis import strategies as st

from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import (
    Activation,
    Add,
    Affine,
    AveragePool,
    Concatenate,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    Function,
    Input,
    MaxPool,
    Multiply,
    Network,
    Pad,
    Reshape,
    Table,
    Weights,
)


@st.composite
def fixed_points(draw, widest=8, modes=True):
    """A type of 1 to `widest` bits, with every mode if `modes`."""
    width, signed = draw(st.integers(1, widest)), draw(st.booleans())
    integer = draw(st.integers(-3, 9))
    if not modes:
        return FixedPoint(width, integer, signed)
    overflow = draw(st.sampled_from([o for o in Overflow if not (signed and width == 1 and o is Overflow.SAT_SYM)]))
    return FixedPoint(width, integer, signed, draw(st.sampled_from(list(Rounding))), overflow)


@st.composite
def arrays(draw, *shape, widest=8):
    """Weights of a random type; of a Table they may all lie on one side of zero."""
    kind = draw(fixed_points(widest, modes=False))
    ends = sorted(draw(st.lists(st.integers(kind.low, kind.high), min_size=2, max_size=2)))
    return Weights(np.random.default_rng(draw(st.integers(0, 99))).integers(ends[0], ends[1] + 1, shape), kind)


@st.composite
def windows(draw, spatial):
    """Window, strides and padding that fit axes of `spatial` sizes; no window lies in the padding alone."""
    window = tuple(draw(st.integers(1, min(n, 3))) for n in spatial)
    strides = tuple(draw(st.integers(1, 2)) for _ in spatial)
    return window, strides, tuple(tuple(draw(st.integers(0, k - 1)) for _ in "ab") for k in window)


@st.composite
def layers(draw, name, source, shape, widest):
    """One layer of one source, of any kind that fits its shape."""
    *spatial, channels = shape
    kinds = [Dense, Activation, Activation, Table, Table, Affine, Flatten, Reshape]
    kinds += [Conv, DepthwiseConv, MaxPool, AveragePool, Pad] if spatial else []
    kind = draw(st.sampled_from(kinds))
    few = draw(st.integers(1, 3))
    if kind in (Conv, DepthwiseConv, MaxPool, AveragePool):
        window, strides, padding = draw(windows(spatial))
    match kind.__name__:
        case "Dense":
            return Dense(name, source, draw(arrays(channels, few, widest=widest)), draw(arrays(few, widest=widest)))
        case "Activation":
            slope = draw(st.sampled_from((0.0, 0.0, 0.25, 0.375, -0.5)))
            function = draw(st.sampled_from(Function))
            return Activation(name, source, function, draw(fixed_points(widest)), slope)
        case "Table":
            index = draw(fixed_points(4))
            return Table(name, source, index, draw(arrays(1 << index.width, widest=widest)))
        case "Affine":
            return Affine(name, source, draw(arrays(channels, widest=widest)), draw(arrays(channels, widest=widest)))
        case "Flatten":
            return Flatten(name, source)
        case "Reshape":
            return Reshape(name, source, draw(st.sampled_from((shape[::-1], (1, prod(shape)), (prod(shape), 1)))))
        case "Pad":
            return Pad(name, source, tuple(tuple(draw(st.integers(0, 1)) for _ in "ab") for _ in spatial))
        case "Conv":
            kernel = draw(arrays(*window, channels, few, widest=widest))
            return Conv(name, source, kernel, draw(arrays(few, widest=widest)), strides, padding)
        case "DepthwiseConv":
            kernel = draw(arrays(*window, channels, widest=widest))
            return DepthwiseConv(name, source, kernel, draw(arrays(channels, widest=widest)), strides, padding)
        case "MaxPool":
            return MaxPool(name, source, window, strides, padding)
        case "AveragePool":
            return AveragePool(name, source, window, strides, padding, draw(fixed_points(widest)))


@st.composite
def chains(draw, longest=4, widest=8):
    """A network of up to `longest` layers in a row, one of which may be two or three side by side, merged again.

    Weights and types have up to `widest` bits. An accumulator may come to need more bits than there are.
    """
    shape = tuple(draw(st.integers(1, 3)) for _ in range(draw(st.integers(1, 3))))
    made = [Input("x", (), shape, draw(fixed_points(widest, modes=False)))]
    for at in range(draw(st.integers(1, longest))):
        source = made[-1].name
        if not draw(st.booleans()):
            made.append(draw(layers(f"l{at}", (source,), shape, widest)))
            shape = made[-1].shape(shape)
            continue
        merge = draw(st.sampled_from((Add, Multiply, Concatenate)))
        sides = []
        for side in range(2 if merge is Multiply else draw(st.integers(2, 3))):
            one = draw(layers(f"l{at}_{side}", (source,), shape, widest))
            sides.append(one if one.shape(shape) == shape else Affine(one.name, one.sources, *affine(shape)))
        made += [*sides, merge(f"m{at}", tuple(one.name for one in sides))]
        shape = made[-1].shape(*[shape] * len(sides))
    return Network("n", tuple(made))


def affine(shape):
    """Scale and bias of 1.5 x - 2."""
    return (
        Weights(np.full(shape[-1:], 3), FixedPoint(4, 3)),
        Weights(np.full(shape[-1:], -1), FixedPoint(4, 5)),
    )
