"""A Network as one file, whose bytes depend on the network alone."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from fpgaml.errors import FormatError
from fpgaml.ir.fixed import Codes, FixedPoint
from fpgaml.ir.network import KINDS, Function, Layer, Network, Weights, pack
from fpgaml.whole import made_whole


def save(network: Network, path: Path) -> None:
    """Write a network to `path` (.npz: one JSON header, one array a weight). Equal networks give equal bytes."""
    text, arrays = pack(network)
    with made_whole(path) as part, part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, network=np.array(text), **arrays)


def load(path: Path) -> Network:
    """Read what `save` wrote; ``load(save(n)) == n``.

    Raises: FormatError if the file is missing, damaged, or not a network.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(str(file["network"]))
            arrays = {key: file[key] for key in file.files if key != "network"}
        layers = tuple(_unpack(record, arrays) for record in header["layers"])
        return Network(header["name"], layers)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise FormatError(f"{path} is not a network that fpgaml saved: {error}") from error


def _unpack(record: dict[str, Any], arrays: dict[str, Codes]) -> Layer:
    def rich(value: Any) -> Any:
        match value:
            case {"weights": key, "type": text}:
                return Weights(arrays[key], FixedPoint.parse(text))
            case {"type": text}:
                return FixedPoint.parse(text)
            case list():
                return tuple(rich(item) for item in value)
            case _:
                return value

    kind = KINDS[record["kind"]]
    found = {key: rich(value) for key, value in record.items() if key != "kind"}
    if "function" in found:
        found["function"] = Function(found["function"])
    return kind(**found)
