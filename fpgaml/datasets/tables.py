"""Tables: bringing features of any range to the integer codes that hardware takes.

steps = Preprocessing.fit(Normalize.FEATURE, 8, names, values)
steps.codes(values)        integer codes; the same steps are recorded for whoever feeds the board
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpgaml.card.sections import Normalize
from fpgaml.errors import DataError
from fpgaml.ir.fixed import grid

Array = NDArray[Any]


@dataclass(frozen=True)
class Preprocessing:
    """How the features of a table became codes, so that a board can be fed in the same way.

    Of each feature: ``code = clip(rint((x - offset) * scale), 0, 2**bits - 1)``. By sample, offset and scale are the
    sample's own least value and ``(2**bits - 1) / range``. Not normalized, the codes are ``x * scale``, exact.
    """

    normalize: Normalize
    bits: int
    features: tuple[str, ...]
    offset: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()

    def codes(self, values: Array) -> NDArray[np.int32]:
        """Return the codes of real `values` (samples, features). Raises: DataError if values are not on the grid."""
        array = np.asarray(values, np.float64)
        match self.normalize:
            case Normalize.NONE:
                scaled = array * self.scale[0]
                if (scaled != np.rint(scaled)).any():
                    raise DataError(f"values must be multiples of {1 / self.scale[0]:g}, the grid of the training set")
                return np.asarray(scaled, np.int32)
            case Normalize.FEATURE:
                scaled = (array - np.array(self.offset)) * np.array(self.scale)
            case Normalize.SAMPLE:
                low = array.min(axis=1, keepdims=True)
                scaled = (array - low) * _inverse(array.max(axis=1, keepdims=True) - low, self.bits)
        return np.asarray(np.clip(np.rint(scaled), 0, (1 << self.bits) - 1), np.int32)

    @classmethod
    def fit(cls, normalize: Normalize, bits: int, features: tuple[str, ...], values: Array) -> Preprocessing:
        """Return the preprocessing that brings training `values` (samples, features) to a grid of `bits` bits."""
        match normalize:
            case Normalize.NONE:
                _, fraction = grid(values)
                return cls(normalize, bits, features, scale=(2.0**fraction,))
            case Normalize.FEATURE:
                low = values.min(axis=0)
                scale = _inverse(values.max(axis=0) - low, bits)
                return cls(normalize, bits, features, tuple(map(float, low)), tuple(map(float, scale)))
            case Normalize.SAMPLE:
                return cls(normalize, bits, features)


def _inverse(span: Array, bits: int) -> Array:
    """Return codes a unit for features of range `span`; 0 for one that never changes."""
    most = (1 << bits) - 1
    return np.divide(most, span, out=np.zeros_like(span, np.float64), where=span > 0)
