"""report.html: one page that needs nothing but itself, with the network running in it.

    report_page(workspace, facts, text)    the page, as text; `text` is report.md, which the page shows too

What is said comes from the facts and from report.md, nothing is computed here. Names that others chose (of layers,
runs, classes, columns) are text and never markup: Markdown is read without HTML, data are JSON that no script is made
of, and the page's own policy lets nothing run but its two scripts, and nothing be fetched.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.diagram import shape_text
from fpgaml.ir.network import Network, weights_of
from fpgaml.report.page.network import codes_record, network_record
from fpgaml.report.style import GRID

if TYPE_CHECKING:
    from fpgaml.datasets.encoding import Encoding
    from fpgaml.ir.fixed import Integers
    from fpgaml.report.results import Facts
    from fpgaml.runs.workspace import Workspace

SAMPLES = 100  # test images in the page
MOST_WEIGHTS = 4_000_000  # in the page; beyond that it would be larger than 20 MB
COLOURS = {"#ffffff": "var(--paper)", "#000000": "var(--ink)", GRID: "var(--line)"}  # of figures, as the page has them
Row = tuple[str, str, str]  # what, value, origin


class Fact(NamedTuple):
    """One thing to know first, and where it comes from. mood: "good", "bad" or nothing."""

    what: str
    value: str
    origin: str
    mood: str = ""


def report_page(workspace: Workspace, facts: Facts, text: str) -> str:
    """Return the page of a run that has its report: what report.md says, and the network to play with."""
    record, network = facts.record, workspace.built[0]
    return page(
        title=f"{record['name']}: from training to hardware",
        note=record["note"],
        facts=headline(record),
        text=text,
        folder=workspace.folder,
        layers=list(layer_sections(network, record)),
        data=playground(workspace),
        noun=record["noun"],
    )


def page(
    *,
    title: str,
    facts: Sequence[Fact],
    text: str,
    folder: Path,
    note: str = "",
    layers: Sequence[Mapping[str, Any]] = (),
    data: Mapping[str, Any] | None = None,
    noun: str = "image",
) -> str:
    """Return a page of the family. text: Markdown, whose figures are SVG files in `folder`."""
    here = files("fpgaml.report.page")
    read = {name: (here / name).read_text(encoding="utf-8") for name in ("exact.js", "play.js", "page.css")}
    script = read["exact.js"] + read["play.js"]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    body, sections = rendered(text, folder)
    drawn = bool(data and data["network"]) and (data or {}).get("pixels")
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=title,
            note=note,
            facts=facts,
            layers=layers,
            noun=noun,
            body=Markup(body),
            sections=([("playground", "Playground"), ("network", "Layers")] if layers else []) + sections,
            invitation="Draw, choose or change an image." if drawn else "Choose a sample, or change its values.",
            style=Markup(read["page.css"]),
            script=Markup(script),
            data=Markup(_json(data or {"network": None})),
            policy=f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
            "base-uri 'none'; form-action 'none'",
        )
    )


def headline(record: Mapping[str, Any]) -> list[Fact]:
    """Return what a person wants to know first."""
    proof, cost = record["comparison"], record["estimate"]
    noun, count = record["noun"], f"{record['test_images']:,}"
    latency, used = cost["latency_us"], cost["design"]["after logic synthesis"]["LUT"]
    accuracy = {one["name"]: one["accuracy"] for one in proof["executions"]}
    differing = "proved equal" if proof["proved"] else "not proved"
    against = "emulator = C simulation" + ("" if proof["no_reference"] else " = QKeras")
    return [
        Fact(
            "bit for bit",
            differing,
            f"0 of {proof['logits']:,} logits differ on {count} test {noun}s: {against}"
            if proof["proved"]
            else proof["failure"],
            "good" if proof["proved"] else "bad",
        ),
        Fact(
            "accuracy in hardware",
            f"{100 * accuracy['C simulation']:.2f} %",
            f"C simulation, {count} test {noun}s; the float network {100 * accuracy['float']:.2f} %"
            if "float" in accuracy
            else f"C simulation, {count} test {noun}s",
        ),
        Fact(
            "latency",
            f"~{latency['median']:.3g} µs",
            f"estimate, 80 % range {latency['low']:.3g} to {latency['high']:.3g} µs, at {cost['clock_ns']} ns a clock",
        ),
        Fact(
            "look-up tables",
            f"~{used['median']:,.0f}",
            f"estimate after logic synthesis, 80 % range {used['low']:,.0f} to {used['high']:,.0f}",
        ),
        Fact(f"on {cost['part']}", cost["verdict"].split(" (")[0], f"estimate: {cost['verdict']}"),
    ]


def layer_sections(network: Network, record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what a layer opens to: its types, what its values do, its cost."""
    types, cost = tensor_types(network), {one["layer"]: one for one in record["estimate"]["layers"]}
    profile = record["profile"]["profile"]["tensors"]
    origin = f"profile, {record['test_images']:,} test {record['noun']}s"
    for layer in network:
        rows: list[Row] = [("type", str(types[layer.name]), "read back from the C++")]
        rows += [
            (f"type of {what}", str(held.type), "read back from the C++") for what, held in weights_of(layer).items()
        ]
        for tensor in profile:
            if tensor["layer"] == layer.name:
                rows += _profile_rows(tensor, origin if tensor["field"] == "output" else "all of them")
        rows += _cost_rows(cost.get(layer.name, {}))
        yield {
            "name": layer.name,
            "words": layer.words,
            "shape": shape_text(network, layer.name),
            "type": str(types[layer.name]),
            "rows": rows,
            "weights": "kernel" in weights_of(layer),
        }


def _profile_rows(tensor: Mapping[str, Any], origin: str) -> Iterator[Row]:
    seen, what = tensor["statistics"], tensor["field"]
    yield f"{what}: least and largest value", f"{seen['minimum']:.4g} to {seen['maximum']:.4g}", origin
    yield f"{what}: zeros", f"{100 * seen['zeros'] / seen['count']:.1f} %", origin
    bits = tensor["type_width"] - tensor["spare_integer"] - tensor["spare_fraction"]
    yield f"{what}: bits used, of {tensor['type_width']}", str(bits), origin
    if tensor["cast"]:
        yield f"{what}: do not fit their type", f"{100 * tensor['cast']['overflowed'] / seen['count']:.3g} %", origin


def _cost_rows(cost: Mapping[str, Any]) -> Iterator[Row]:
    for what in ("latency", "initiation interval", "LUT", "FF", "DSP", "BRAM18"):
        if what in cost:
            unit = " cycles" if what in ("latency", "initiation interval") else ""
            text = f"~{cost[what]['median']:,.0f} ({cost[what]['low']:,.0f} to {cost[what]['high']:,.0f}){unit}"
            yield what, text, "estimate for HLS csynth, 80 % range"


def playground(workspace: Workspace) -> dict[str, Any]:
    """Return what the page's own code reads of a run: see `play_record`."""
    data, shown = workspace.data, slice(0, SAMPLES)
    logits = workspace.arrays("float_logits.npy")[""] if (workspace / "float_logits.npy").is_file() else None
    return play_record(
        workspace.built[0],
        workspace.network.output.name,
        data.x_test[shown],
        data.y_test[shown].tolist(),
        floats=None if logits is None else logits[shown].reshape(len(logits[shown]), -1).argmax(1).tolist(),
        classes=data.names,
        noun=data.noun,
        encoding=data.encoding,
    )


def play_record(
    network: Network,
    logits: str,
    codes: Integers,
    labels: Sequence[int],
    *,
    floats: Sequence[int] | None,
    classes: Sequence[str],
    noun: str,
    encoding: Encoding | None,
) -> dict[str, Any]:
    """Return a network to play with, and samples of its input: codes (samples, *shape) and the class of each.

    logits: the layer whose largest value is the class. floats: the classes that the float network said.
    """
    count = sum(held.codes.size for layer in network for held in weights_of(layer).values())
    pixels = list(encoding.pixels) if encoding and encoding.kind == "pixels" else []
    mnist = bool(pixels) and network.input.dims == (28, 28, 1)
    return {
        "network": network_record(network, weights=count <= MOST_WEIGHTS),
        "logits": logits,
        "samples": {"codes": codes_record(codes), "labels": list(labels), "float": floats},
        "classes": list(classes),
        "features": list(encoding.names) if encoding else [],
        "noun": noun,
        "pixels": pixels,
        "centre": mnist,
        "preparation": _preparation(mnist=mnist, pixels=bool(pixels)),
    }


def _preparation(*, mnist: bool, pixels: bool) -> str:
    if mnist:
        return (
            "What you draw is scaled into 20 x 20 pixels and centred by its mass in 28 x 28, as the images of MNIST "
            "were made; then each pixel becomes the code that it has in the run's own data."
        )
    if pixels:
        return "Each pixel becomes the code that it has in the run's own data."
    return (
        "The values are those that the network gets, after the run's own preprocessing, on the grid of its input type."
    )


def rendered(text: str, folder: Path) -> tuple[str, list[tuple[str, str]]]:
    """Return Markdown as HTML with its figures inside, and (anchor, title) of its sections, without title and note."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = reader.parse(text)
    if tokens and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        tokens = tokens[3:]
    if tokens and tokens[0].type == "blockquote_open":  # the note, which stands at the top
        tokens = tokens[1 + next(at for at, token in enumerate(tokens) if token.type == "blockquote_close") :]
    sections: list[tuple[str, str]] = []
    for at, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            title = tokens[at + 1].content
            sections.append((f"s{len(sections) + 1}", title))
            token.attrSet("id", sections[-1][0])
    rules = reader.renderer.rules  # type: ignore[attr-defined]
    rules |= {
        "table_open": lambda *_: '<div class="wide" tabindex="0" role="region" aria-label="table"><table>',
        "table_close": lambda *_: "</table></div>",
        "image": lambda tokens, at, *_: _figure(tokens[at], folder),
    }
    assert isinstance(reader.renderer, RendererHTML)
    return str(reader.renderer.render(tokens, reader.options, {})), sections


def _figure(token: Token, folder: Path) -> str:
    """Return an image of report.md as inline SVG in the page's colours; nothing is read but SVG below `folder`."""
    path = (folder / str(token.attrGet("src"))).with_suffix(".svg").resolve()
    if folder.resolve() not in path.parents or not path.is_file():
        return ""
    svg = re.sub(r"^.*?(?=<svg)|<metadata>.*?</metadata>", "", path.read_text(encoding="utf-8"), flags=re.S)
    for colour, name in COLOURS.items():
        svg = svg.replace(f": {colour}", f": {name}")
    named = f'<svg role="img" aria-label="{Markup.escape(token.content)}"'
    return f"<figure>{svg.replace('<svg', named, 1)}</figure>"


def _json(value: Any) -> str:
    """Return JSON that can stand inside a script element."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("fpgaml.report.page", ""),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
