"""Tables: bringing features of any range to the integer codes that hardware takes.

encoding, kind = fit(Normalize.FEATURE, 8, values, names)
encoding.codes(values)     integer codes of type `kind`; the encoding goes with the run, up to the board
"""

from __future__ import annotations

import numpy as np

from fpgaml.card.sections import Normalize
from fpgaml.datasets.encoding import Encoding, codes_a_unit
from fpgaml.errors import DataError
from fpgaml.ir.fixed import Array, FixedPoint, grid, smallest

MAX_INPUT_BITS = 16  # of a feature that is not normalized
DEVIATION_BITS = 3  # integer bits, sign included, of a standard score: -4 to 4


def fit(
    normalize: Normalize, bits: int, values: Array, names: tuple[str, ...] = (), *, held: Array | None = None
) -> tuple[Encoding, FixedPoint]:
    """Return how training `values` (rows, *shape) become codes of `bits` bits, and the type of these.

    ``feature``: each value from its least to its largest. ``sample``: each row so. ``standard``: by mean and
    standard deviation of each value, codes of fixed<bits,3>: 4 deviations either way, what is beyond saturates.
    ``none``: as many bits as hold all values exactly, those `held` out among them.

    Raises: DataError if values that stay as they are need too many bits.
    """
    shape = tuple(values.shape[1:])
    flat = values.reshape(len(values), -1).astype(np.float64)
    kind = FixedPoint(bits, DEVIATION_BITS if normalize is Normalize.STANDARD else 0, normalize is Normalize.STANDARD)
    offset, scale = np.zeros(0), np.zeros(0)
    match normalize:
        case Normalize.NONE:
            every = values if held is None else np.concatenate([values, held])
            kind = exact_type(every)
            scale = np.array([2.0**kind.fraction])
        case Normalize.FEATURE:
            offset = flat.min(axis=0)
            scale = codes_a_unit(kind.high, flat.max(axis=0) - offset)
        case Normalize.STANDARD:
            offset = flat.mean(axis=0)
            scale = codes_a_unit(2.0**kind.fraction, flat.std(axis=0))
        case Normalize.SAMPLE:
            pass
    steps = tuple(map(float, offset)), tuple(map(float, scale))
    return Encoding(str(normalize), shape, kind.low, kind.high, kind.fraction, names, *steps), kind


def exact_type(values: Array) -> FixedPoint:
    """Return the narrowest type that holds real `values` exactly. Raises: DataError beyond MAX_INPUT_BITS."""
    codes, fraction = grid(values)
    kind = smallest(int(codes.min()), int(codes.max()), fraction)
    if kind.width > MAX_INPUT_BITS:
        raise DataError(
            f"values need {kind.width} bits to be exact, more than {MAX_INPUT_BITS}; set data.normalize to 'feature', "
            "'standard' or 'sample'"
        )
    return kind
