"""Read an HLS project back from its C++, and compare every type and every weight with the Network it was made of.

What is parsed: types in ``defines.h``, layer configurations in ``parameters.h``, the calls of the top function, and
``weights/*.txt``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fpgaml.backend.lowering import HLS4ML_WEIGHT, codes_for_hls4ml, expected_types
from fpgaml.errors import ConfigError, ConversionMismatch
from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.fixed import Codes, FixedPoint
from fpgaml.ir.network import (
    Activation,
    Function,
    Layer,
    Network,
    Result,
    weights_of,
)
from fpgaml.target.design import RESOURCES, Design, Strategy


def check_project(network: Network, design: Design, project: Path) -> None:
    """Read a written project back and compare every type and every weight with the Network.

    Raises: ConversionMismatch with the first layer that differs, what the C++ says and what it should.
    """
    written = read_project(network, project)
    types = tensor_types(network)
    for layer in network:
        found = written.get(layer.name)
        if found is None:
            if not _may_vanish(layer, types):
                raise ConversionMismatch(f"layer {layer.name!r} is missing from the C++ in {project}")
            continue
        for what, kind in expected_types(layer, types).items():
            if what in found.types and not _same_type(layer, found.types[what], kind):
                raise ConversionMismatch(
                    f"layer {layer.name!r}: the C++ has {found.types[what]} as {what} type, the network {kind}"
                )
        if design.strategy_of(layer.name) is Strategy.DISTRIBUTED_ARITHMETIC and not found.weights:
            continue  # they have become adders; C simulation compares what these compute
        for field, weights in weights_of(layer).items():
            outputs_first = field == "kernel" and design.strategy_of(layer.name) in RESOURCES
            codes = codes_for_hls4ml(layer, field, network.shapes[layer.name])
            ordered = np.moveaxis(weights.codes, -1, 0) if outputs_first else codes
            _check_weights(layer, field, ordered.ravel(), found)


def _same_type(layer: Layer, found: FixedPoint, kind: FixedPoint) -> bool:
    """Return whether a type in the C++ is the network's; how it would round matters not where values only move."""
    if layer.result is Result.MOVED:
        return (found.width, found.integer, found.signed) == (kind.width, kind.integer, kind.signed)
    return found == kind


@dataclass(frozen=True)
class Written:
    """One layer as the C++ has it: types by hls4ml's name, weight codes (flat, in file order) by weight name."""

    types: dict[str, FixedPoint]
    weights: dict[str, Codes]


def read_project(network: Network, project: Path) -> dict[str, Written]:
    """Return what ``defines.h``, ``parameters.h``, the top function and ``weights/`` say of each layer of `network`.

    Raises: ConversionMismatch if a file is missing or a type cannot be found.
    """
    firmware = project / "firmware"
    try:
        top = (firmware / f"{network.name}.cpp").read_text(encoding="utf-8")
        defines = (firmware / "defines.h").read_text(encoding="utf-8")
        parameters = (firmware / "parameters.h").read_text(encoding="utf-8")
    except OSError as error:
        raise ConversionMismatch(f"{project} is not a complete HLS project of {network.name!r}: {error}") from error
    typedefs = _typedefs(defines)
    configs = {
        name: dict((key, value) for value, key in re.findall(r"typedef (\w+) (\w+);", body))
        for name, body in re.findall(r"struct (\w+) :[^{]*\{(.*?)\n\};", parameters, re.DOTALL)
    }
    found = {network.input.name: Written({"result": typedefs["input_t"]}, {})}
    for call, name in re.findall(r"nnet::\w+<(.*)\); // (\w+)$", top, re.MULTILINE):
        if name not in network.shapes:
            continue  # hls4ml's own helpers: zero padding before a streamed convolution, clones, repacking
        arguments, _, values = call.partition(">(")
        given = [part.strip() for part in arguments.split(",")]  # types in and out, and a configuration, in any order
        inside = next((configs[one] for one in given if one in configs), {})
        types = {"result": [typedefs[one] for one in given if one in typedefs][-1]}
        types |= {
            what: typedefs[inside[f"{what}_t"]]
            for what in ("accum", "weight", "bias", "scale", "table", "param")
            if f"{what}_t" in inside
        }
        weights = {}
        for file in (part.strip() for part in values.split(",")):
            path, kind = firmware / "weights" / f"{file}.txt", FILE_PREFIX.get(file.rstrip("0123456789"), "")
            if kind in types and path.is_file():
                weights[kind] = _read_codes(path, types[kind])
        found[name] = Written(types, weights)
    return found


FILE_PREFIX = {"w": "weight", "b": "bias", "s": "scale", "table": "table", "a": "param"}


def _typedefs(defines: str) -> dict[str, FixedPoint]:
    """Return the fixed-point type behind each name; a stream's is that of its elements."""
    found = {}
    for text, name in re.findall(r"^typedef (.+?) (\w+);$", defines, re.MULTILINE):
        element = re.fullmatch(r"nnet::array<(.+), [\d*]+>", text)
        with suppress(ConfigError):  # other typedefs are of no concern
            found[name] = FixedPoint.parse(element[1] if element else text)
    return found


def _read_codes(path: Path, kind: FixedPoint) -> Codes:
    values = np.array(path.read_text(encoding="utf-8").replace("\n", "").split(","), dtype=np.float64)
    scaled = np.ldexp(values, kind.fraction)
    if (scaled != np.rint(scaled)).any():
        raise ConversionMismatch(f"{path}: value {values[scaled != np.rint(scaled)][0]!r} is not on the grid of {kind}")
    return scaled.astype(np.int64)


def _check_weights(layer: Layer, field: str, expected: Codes, found: Written) -> None:
    """Compare the codes of a weight array, in the order of hls4ml's file, with those written."""
    written = found.weights.get(HLS4ML_WEIGHT[field])
    if written is None:
        raise ConversionMismatch(f"layer {layer.name!r}: the C++ has no {field}")
    if written.shape != expected.shape:
        raise ConversionMismatch(
            f"layer {layer.name!r}: the C++ has {written.size} {field} values, not {expected.size}"
        )
    wrong = np.flatnonzero(written != expected)
    if wrong.size:
        at = wrong[0]
        raise ConversionMismatch(
            f"layer {layer.name!r}: {wrong.size} of {written.size} {field} values differ in the C++; the first, at "
            f"position {at}, has code {written[at]} where the network has {expected[at]}"
        )


def _may_vanish(layer: Layer, types: Mapping[str, FixedPoint]) -> bool:
    """Return whether a layer may rightly leave no call in the C++: it only renames what it reads."""
    same = bool(layer.sources) and types[layer.name] == types[layer.sources[0]]
    linear = isinstance(layer, Activation) and layer.function is Function.LINEAR and same
    return linear or layer.renames
