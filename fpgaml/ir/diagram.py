"""A Network as a picture: one box a layer, from the image to the logits, as SVG text. Equal networks, equal bytes.

    diagram(network) -> "<svg ..."

A box says the layer's name and kind, its output shape and type, and how many weights it has. Lines go from each
layer to those that read it; a connection past other layers runs along the right side.
"""

from __future__ import annotations

from math import prod
from xml.sax.saxutils import escape

from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.network import Layer, Network, weights_of

WIDTH, HEIGHT, GAP, MARGIN = 380, 54, 22, 24  # of a box, between boxes, around all; pixels
INPUT_COLOUR, WEIGHTS_COLOUR, PLAIN_COLOUR = "#e8eef7", "#fdebd0", "#eef6ec"


def diagram(network: Network) -> str:
    """Return the picture of a network as an SVG document."""
    row = {layer.name: n for n, layer in enumerate(network)}
    passes = [(row[s], row[layer.name]) for layer in network for s in layer.sources if row[layer.name] - row[s] > 1]
    width = 2 * MARGIN + WIDTH + 18 * len(passes)
    height = 2 * MARGIN + len(row) * HEIGHT + (len(row) - 1) * GAP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="13">',
        f"<title>{escape(network.name)}</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#555"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    lines += [line for layer in network for line in _box(network, layer, row[layer.name])]
    for layer in network:
        lines += [_arrow(row[layer.name]) for s in layer.sources if row[layer.name] - row[s] == 1]
    lines += [_detour(first, last, place) for place, (first, last) in enumerate(passes)]
    return "\n".join([*lines, "</svg>"]) + "\n"


def weight_count(layer: Layer) -> int:
    """Return how many weights a layer has, biases among them."""
    return sum(weights.codes.size for weights in weights_of(layer).values())


def shape_text(network: Network, name: str) -> str:
    """Return a layer's output shape, e.g. ``26 x 26 x 8``."""
    return " x ".join(map(str, network.shapes[name]))


def _top(row: int) -> int:
    return MARGIN + row * (HEIGHT + GAP)


def _box(network: Network, layer: Layer, row: int) -> list[str]:
    kind, y = type(layer).__name__, _top(row)
    count = weight_count(layer)
    values = f"{prod(network.shapes[layer.name]):,} values" + (f", {count:,} weights" if count else "")
    colour = INPUT_COLOUR if not layer.sources else WEIGHTS_COLOUR if count and layer.learned else PLAIN_COLOUR
    below = f"{shape_text(network, layer.name)} of {tensor_types(network)[layer.name]}"
    return [
        f'<rect x="{MARGIN}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="{colour}" stroke="#555"/>',
        f'<text x="{MARGIN + 12}" y="{y + 22}" font-weight="bold">{escape(layer.name)}</text>',
        f'<text x="{MARGIN + WIDTH - 12}" y="{y + 22}" text-anchor="end" fill="#444">{kind}: {values}</text>',
        f'<text x="{MARGIN + 12}" y="{y + 42}" fill="#444" font-size="12">{escape(below)}</text>',
    ]


def _arrow(row: int) -> str:
    x = MARGIN + WIDTH // 2
    return f'<line x1="{x}" y1="{_top(row) - GAP}" x2="{x}" y2="{_top(row)}" stroke="#555" marker-end="url(#tip)"/>'


def _detour(first: int, last: int, place: int) -> str:
    x, out = MARGIN + WIDTH, MARGIN + WIDTH + 14 + 18 * place
    y1, y2 = _top(first) + HEIGHT // 2, _top(last) + HEIGHT // 2
    path = f"M{x} {y1} H{out} V{y2} H{x}"
    return f'<path d="{path}" fill="none" stroke="#555" marker-end="url(#tip)"/>'
