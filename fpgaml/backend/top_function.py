"""The top function of a project's C++: its sizes, the layers that it can show, and whether values come in streams."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from pathlib import Path

from fpgaml.errors import FormatError
from fpgaml.ir.network import Network


@dataclass(frozen=True)
class TopFunction:
    """What a program that calls the top function must know of it."""

    network: Network
    layers: tuple[str, ...]  # those that it can show when it is compiled for that, in order
    stream: bool

    @property
    def text(self) -> dict[str, str]:
        """Return what the C++ templates of a program around it need: names and sizes."""
        shapes = self.network.shapes
        return {
            "top": self.network.name,
            "n_in": str(prod(shapes[self.network.input.name])),
            "n_out": str(prod(shapes[self.network.output.name])),
            "stream": str(int(self.stream)),
        }


def read_top(network: Network, project: Path) -> TopFunction:
    """Return what the top function of a project's C++ takes, gives and shows.

    Raises: FormatError if `project` is not of `network`.
    """
    top = project / "firmware" / f"{network.name}.cpp"
    if not top.is_file():
        raise FormatError(
            f"{project} is not the HLS project of network {network.name!r}: it has no firmware/{top.name}"
        )
    text = top.read_text(encoding="utf-8")
    layers = tuple(re.findall(r'save_layer_output<\w+>\(\w+, "(\w+)"', text))
    if unknown := [name for name in layers if name not in network.shapes]:
        raise FormatError(f"{top} computes layer {unknown[0]!r}, which network {network.name!r} has not")
    return TopFunction(network, layers, "hls::stream<input_t>" in text)
