"""How many images a network puts into the class of their label, by exact emulation.

right_answers(network, codes, labels)    how many
answers_right(network, codes, labels)    which
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fpgaml.errors import DataError
from fpgaml.exact.comparison import classify
from fpgaml.exact.emulate import run
from fpgaml.ir.fixed import Integers
from fpgaml.ir.network import Network


def right_answers(network: Network, codes: Integers, labels: Integers) -> int:
    """Return how many images (images, *input shape) the network puts into the class of their label (images,).

    Raises: DataError if there are no images, or they or the labels do not fit.
    """
    return int(np.count_nonzero(answers_right(network, codes, labels)))


def answers_right(network: Network, codes: Integers, labels: Integers) -> NDArray[np.bool_]:
    """Return, for each image (images,), whether the network puts it into the class of its label.

    Raises: DataError if there are no images, or they or the labels do not fit.
    """
    if not len(codes):
        raise DataError(f"accuracy of {network.name!r} needs at least one image; the data set is empty")
    if np.shape(labels) != (len(codes),):
        raise DataError(f"labels must have shape ({len(codes)},), one for each image, not {np.shape(labels)}")
    return np.asarray(classify(run(network, codes)) == np.asarray(labels))
