"""A Network as the page's own code reads it: JSON, its weights as base64 of little-endian integers."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from fpgaml.ir.accumulate import Interval, before_cast, intervals
from fpgaml.ir.fixed import FLOAT64_EXACT, Codes, FixedPoint, Integers
from fpgaml.ir.network import Layer, Network, pack

KINDS = ("u1", "i1", "u2", "i2", "u4", "i4", "i8")  # of integers, narrowest first
SPARE = 8  # times the largest integer of a layer: what rounding and a mean add to it


def network_record(network: Network, *, weights: bool = True) -> dict[str, Any]:
    """Return a network for the page. Without `weights` its layers can be looked at, and not run."""
    text, arrays = pack(network)
    ranges = intervals(network)
    layers = []
    for layer, packed in zip(network, json.loads(text)["layers"], strict=True):
        found = {key: _plain(value, arrays if weights else {}) for key, value in packed.items()}
        interval = ranges[layer.name]
        found |= {
            "sources": list(layer.sources),
            "shape": list(network.shapes[layer.name]),
            "fraction": interval.fraction,
            "low": interval.low if abs(interval.low) < FLOAT64_EXACT else str(interval.low),
            "words": layer.words,
            "big": _is_big(layer, ranges),
        }
        layers.append(found)
    return {"name": network.name, "layers": layers, "runs": weights}


def codes_record(codes: Integers) -> dict[str, Any]:
    """Return an array of codes as {shape, kind, base64}: integers of `kind` (u1, i2, ...), little-endian, row-major."""
    low, high = (int(codes.min()), int(codes.max())) if codes.size else (0, 0)
    kind = next(kind for kind in KINDS if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
    text = base64.b64encode(np.ascontiguousarray(codes, f"<{kind}").tobytes()).decode()
    return {"shape": list(codes.shape), "kind": kind, "base64": text}


def _is_big(layer: Layer, ranges: Mapping[str, Interval]) -> bool:
    """Return whether an integer that a layer meets may be beyond what a float64 holds."""
    inputs = [ranges[source] for source in layer.sources]
    met = [*inputs, ranges[layer.name], *(before_cast(layer, x) for x in inputs)]
    most = SPARE * max(one.size for one in met)
    if layer.divisor > 1:  # a mean: its sum, on the grid of its type
        x, up = inputs[0], max(ranges[layer.name].fraction - inputs[0].fraction, 0)
        most = max(most, (SPARE * layer.divisor * x.size) << up)
    kind = layer.cast
    shift = abs(inputs[0].fraction - kind.fraction) if kind else 0
    return most >= FLOAT64_EXACT or shift > 100 or (kind is not None and kind.width > 50)


def _plain(value: Any, arrays: Mapping[str, Codes]) -> Any:
    match value:
        case {"weights": key, "type": text}:
            kept = codes_record(arrays[key]) if key in arrays else {}
            return {"type": _type_record(FixedPoint.parse(text)), **kept}
        case {"type": text}:
            return _type_record(FixedPoint.parse(text))
        case list():
            return [_plain(one, arrays) for one in value]
        case _:
            return value


def _type_record(kind: FixedPoint) -> dict[str, Any]:
    return {
        "text": str(kind),
        "width": kind.width,
        "fraction": kind.fraction,
        "signed": kind.signed,
        "rounding": str(kind.rounding),
        "overflow": str(kind.overflow),
    }
