"""The type of a model's input where its data are real numbers: proposed from them, and what rounding to it changes.

    propose(model, Path("features.npz"))     the fewest bits with which Keras gives no sample another class
    rounding(model, images, kind)            the same in words: how many values are rounded, how many classes change

A Keras file says nothing of the numbers it reads. Features that were standardized, or pixels divided by 255, are on no
binary grid: hardware rounds them, and what that changes is found by running Keras on both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fpgaml.datasets.dataset import NAMED
from fpgaml.datasets.inputs import nearest_of
from fpgaml.datasets.proof_images import Images, real_numbers, types_for
from fpgaml.frontend import floats
from fpgaml.ir.fixed import Array, FixedPoint

SAMPLES = 1000  # whose classes are looked at


def propose(model: Any, source: Path | str | None, label: str | None = None) -> FixedPoint | None:
    """Return a type for the real numbers of a file; None if the file has none, or they are pixels divided by 256.

    The type holds the range, and of 8 to 16 bits takes the fewest with which no class changes; 16 if all change some.
    """
    if source is None or str(source) in NAMED:
        return None
    values = real_numbers(Path(source), label)
    if values is None or not (shape := _shape(model)) or int(np.prod(values.shape[1:])) != int(np.prod(shape)):
        return None
    values, kinds = values.reshape(-1, *shape), types_for(values)
    if len(kinds) < 2:
        return kinds[0] if kinds else None
    right = floats.answers(model, values[:SAMPLES])
    same = (kind for kind in kinds if np.array_equal(floats.answers(model, _on(kind, values[:SAMPLES])), right))
    return next(same, kinds[-1])


def rounding(model: Any, images: Images, kind: FixedPoint) -> str:
    """Say how many real numbers are rounded to `kind`, by how much, and how many classes that changes; else nothing."""
    if images.raw is None or images.raw.dtype.kind != "f":
        return ""
    raw = images.raw.astype(np.float64)
    off = np.abs(kind.decode(images.codes) - raw)
    if not off.any():
        return ""
    some, given = images.codes[:SAMPLES], raw[:SAMPLES]
    changed = int((floats.answers(model, kind.decode(some)) != floats.answers(model, given)).sum())
    return (
        f"{int((off > 0).sum()):,} of {off.size:,} input values are rounded to {kind}, by at most {off.max():.2g}; the "
        f"class of {changed:,} of {len(some):,} samples changes"
    )


def _on(kind: FixedPoint, values: Array) -> Array:
    return kind.decode(nearest_of(kind).encode(values))


def _shape(model: Any) -> tuple[int, ...]:
    """Return the shape of a model's one input; empty if it has several, or one that is open."""
    shape = getattr(model, "input_shape", None)
    return tuple(shape[1:]) if isinstance(shape, tuple) and None not in shape[1:] else ()
