"""What a Keras model computes inside, layer by layer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from fpgaml.ir.fixed import Floats


def layer_outputs(model: Any, names: dict[str, str], values: Any) -> dict[str, Floats]:
    """Return the outputs (images, *shape) of Keras layers for input `values`, by the keys of `names`, as float64.

    `names` maps each key to the name of a Keras layer.
    """
    if not names:
        return {}
    probe = keras.Model(model.inputs[0], {key: model.get_layer(name).output for key, name in names.items()})
    found = probe(np.asarray(values, np.float32), training=False)
    return {key: np.asarray(value, np.float64) for key, value in found.items()}
