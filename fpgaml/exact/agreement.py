"""Hold one execution of a network against another: which values differ, where first, and why.

    found = hold(ours, theirs, order, (Executor.EMULATOR, Executor.CSIM), network)
    found.counts      {layer: how many of its values differ}
    found.first       the first difference, in the order of the layers; None if all values are equal
    found.require()   BitMismatch unless they are

Whatever ran the C++ or Keras (backend/cpp.py, runs/proof.py, audit, the board's driver), this is what judges it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fpgaml.errors import BitMismatch
from fpgaml.exact.comparison import Difference, Executor, first_difference
from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.fixed import Codes, Floats
from fpgaml.ir.network import Network


@dataclass(frozen=True, eq=False)
class Agreement:
    """One execution held against another, value by value, without tolerance.

    wrong: by layer that both have, which of its values (images, *shape) differ.
    """

    names: tuple[str, str]
    wrong: Mapping[str, NDArray[np.bool_]]
    first: Difference | None

    @property
    def counts(self) -> dict[str, int]:
        """How many values differ, by layer."""
        return {layer: int(wrong.sum()) for layer, wrong in self.wrong.items()}

    @property
    def values(self) -> int:
        """How many values were held against each other."""
        return sum(wrong.size for wrong in self.wrong.values())

    def require(self, before: str = "") -> None:
        """Raise BitMismatch, with `before` at its beginning, unless all values are equal."""
        if self.first:
            raise BitMismatch(f"{before}{self.first}")


def hold(
    left: Mapping[str, Floats],
    right: Mapping[str, Floats],
    order: Sequence[str],
    names: tuple[str, str] = (Executor.EMULATOR, Executor.CSIM),
    network: Network | None = None,
) -> Agreement:
    """Hold the values (images, *shape) of two executions against each other, layer by layer in `order`.

    `names` and `network` are as `first_difference` has them. Raises: DataError if shapes differ.
    """
    first = first_difference(left, right, list(order), names, network)
    both = [layer for layer in order if layer in left and layer in right]
    return Agreement(names, {layer: np.asarray(left[layer] != right[layer]) for layer in both}, first)


def decoded(network: Network, codes: Mapping[str, Codes]) -> dict[str, Floats]:
    """Return the values (images, *shape) of layers given as codes."""
    types = tensor_types(network)
    return {name: types[name].decode(own).reshape(-1, *network.shapes[name]) for name, own in codes.items()}
