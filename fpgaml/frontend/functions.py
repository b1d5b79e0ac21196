"""Functions in floating point as tables of stated types: what is on no grid is computed on a grid and rounded.

TableTypes().of("tanh")                       sigmoid and tanh, by formula in float64
looked_up(keras.activations.elu, index)       any other, as Keras itself computes it
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fpgaml.frontend.quantizers import rounded
from fpgaml.ir.accumulate import Interval
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import Table, Weights

TABLE_INDEX = FixedPoint(10, 4, True, Rounding.RND_CONV, Overflow.SAT)
SIGMOID = FixedPoint(8, 0, False, Rounding.RND_CONV, Overflow.SAT)
TANH = FixedPoint(8, 1, True, Rounding.RND_CONV, Overflow.SAT)
INDEX_BITS, INDEX_INTEGER = 12, 6  # of the index of any other function: values beyond plus and minus 32 saturate
RESULT_BITS, RESULT_FRACTION = 16, 8  # of what it gives
FUNCTIONS = {
    "elu", "selu", "softplus", "softsign", "silu", "swish", "gelu", "exponential", "hard_sigmoid", "hard_silu",
    "hard_swish", "mish",
}  # fmt: skip


@dataclass(frozen=True)
class TableTypes:
    """The types of a float sigmoid or tanh as a table: of its index, and of what each gives."""

    index: FixedPoint = TABLE_INDEX
    sigmoid: FixedPoint = SIGMOID
    tanh: FixedPoint = TANH

    def of(self, function: str) -> Table:
        """Return the table of "sigmoid" or "tanh": computed in float64, rounded by its stated type."""
        x = self.index.decode(np.arange(self.index.low, self.index.high + 1))
        kind, values = (self.tanh, np.tanh(x)) if function == "tanh" else (self.sigmoid, 1 / (1 + np.exp(-x)))
        plain = FixedPoint(kind.width, kind.integer, kind.signed)
        return Table("table", ("x",), self.index, Weights(kind.encode(values), plain))


TABLES = TableTypes()
ANY_INDEX = FixedPoint(INDEX_BITS, 5, True, Rounding.RND_CONV, Overflow.SAT)  # where nothing is known of the input


def looked_up(function: Callable[[Any], Any], index: FixedPoint) -> Table:
    """Return the table of a function that Keras computes, with results of up to 16 bits, 8 of them fraction bits."""
    x = index.decode(np.arange(index.low, index.high + 1)).astype(np.float32)
    results = np.asarray(function(x), np.float64)
    whole = rounded(results, RESULT_BITS).type
    fraction = min(whole.fraction, RESULT_FRACTION)
    kind = FixedPoint(whole.integer + fraction, whole.integer, True, Rounding.RND_CONV, Overflow.SAT)
    return Table("table", ("x",), index, Weights(kind.encode(results), FixedPoint(kind.width, kind.integer)))


def index_for(x: Interval) -> FixedPoint:
    """Return the index of a table for inputs in `x`: every code, or as many as a table may have."""
    integer = min(x.bits - x.fraction, INDEX_INTEGER)
    fraction = min(x.fraction, INDEX_BITS - integer)
    return FixedPoint(max(2, integer + fraction), integer, True, Rounding.RND_CONV, Overflow.SAT)
