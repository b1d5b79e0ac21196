"""What others write is data: in no language that we write is any of it run, or anything but shown."""

import io
import json
import subprocess
import tomllib
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from fpgaml.card.toml import card_of, to_toml
from fpgaml.cli.console import shown
from fpgaml.datasets.encoding import Encoding
from fpgaml.datasets.raw import RawRows
from fpgaml.errors import ConfigError, FpgamlError
from fpgaml.project.board import encode_header, write_board
from fpgaml.project.generated import write_scripts
from fpgaml.quoting import c_string, drawn, markdown
from fpgaml.target.boards import catalogue, find_board
from fpgaml.target.design import Design
from fpgaml.target.toolchain import Backend
from tests.attack.page import Page
from tests.attack.payloads import CANARY, PAYLOADS, texts, with_text

try:
    from tkinter import Tcl
except ImportError:  # a Python without Tk
    Tcl = None

LAYERS = [
    {"kind": "flatten", "name": "flat"},
    {"kind": "dense", "units": 8, "activation": "relu", "name": "fc1"},
    {"kind": "dense", "units": 3, "activation": "softmax", "name": "logits"},
]
CARD = {
    "name": "tiny",
    "data": {"source": "a.csv", "test": "b.csv", "validation": "c.csv", "label": "kind", "input_type": "fixed<8,4>",
             "input_scale": "1/255", "normalize": "feature"},
    "model": {"layers": LAYERS},
    "training": {"optimizer": "adam", "schedule": "cosine", "class_weights": "equal", "loss": "auto"},
    "compress": ["qat"],
    "compression": {"scope": "global", "structure": "weights", "teacher": "t.keras"},
    "quantization": {"kernel": "quantized_bits(6,0,alpha=1)", "layers": {"fc1": {"weight_bits": 4}}},
    "design": {"backend": "Vitis", "board": "pynq-z2", "part": "xc7z020clg400-1", "io_type": "io_parallel",
               "strategy": "latency", "output": "logits", "layers": {"fc1": {"strategy": "latency"}}},
    "output": {"folder": "runs", "note": "a note"},
}  # fmt: skip
BOARDS = """
[parts.xcau7p]
family = "artixuplus"
lut = 37440
ff = 74880
dsp = 216
bram18 = 216
uram = 0
source = "DS890"
[boards.mine]
title = "My board"
part_number = "xcau7p-sbvc484-1-e"
clock_ns = 8
source = "its schematic"
"""


def obeys(folder: Path, script: str) -> dict[str, str]:
    """Source a script of a generated project in a Tcl interpreter, in `folder`; return its variables."""
    tcl = Tcl()
    tcl.eval(f"cd {{{folder}}}")
    tcl.eval(f"source {{{script}}}")
    return {name: tcl.eval(f"set {name}") for name in ("project_name", "part", "clock_ns", "backend")}


@pytest.fixture
def cards():
    """Every card that has a payload in one of its texts and is taken."""
    function = CARD | {"model": {"function": "net:make"}}
    found = []
    for base in (CARD, function):
        for path in texts(base):
            for payload in PAYLOADS:
                try:
                    found.append(card_of(with_text(base, path, payload)))
                except ConfigError:
                    continue
    for payload in PAYLOADS:  # names of layers that only the function knows
        for section in ("quantization", "design"):
            found.append(card_of(function | {section: {"layers": {payload: {}}}}))
    return found


def test_a_card_with_a_payload_is_written_as_it_is(cards):
    assert len(cards) > 500
    for card in cards:
        assert card_of(tomllib.loads(to_toml(card))) == card


@pytest.mark.skipif(Tcl is None, reason="needs tkinter's Tcl")
def test_no_card_makes_tcl_that_runs_anything(cards, tiny, tmp_path):
    designs = {card.design.resolve() for card in cards}
    for design in designs:
        write_scripts(tiny, design, tmp_path)
        assert obeys(tmp_path, "project.tcl")["part"] == design.part
    assert not list(tmp_path.rglob(f"*{CANARY}*"))


@pytest.mark.parametrize("payload", [*PAYLOADS, f"xc7z020clg400-1[exec touch {CANARY}]", "xc7z020clg400-1\n", ""])
def test_a_part_number_is_letters_digits_and_hyphens(payload):
    with pytest.raises(ConfigError) as caught:
        Design(Backend.VITIS, payload)
    assert str(caught.value) == (
        f"part number {payload!r} must be letters, digits and hyphens only, as in 'xc7z020clg400-1'"
    )


def test_a_boards_file_with_a_payload_is_refused_or_harmless(tmp_path):
    table, path = tomllib.loads(BOARDS), tmp_path / "boards.toml"
    refused = 0
    for place in texts(table):
        for payload in PAYLOADS:
            changed = with_text(table, place, payload)
            path.write_text("\n".join(_toml(changed)), encoding="utf-8")
            try:
                board = catalogue(path).board("mine")
            except ConfigError:
                refused += 1
            else:
                written = [board.title, board.part_number, board.source, board.part.family, board.part.source]
                assert not set('\\"$[]{}<>`|*#@\n\x1b') & set("".join(written))
    assert refused > 100
    for payload in PAYLOADS:
        for kind in ("parts", "boards"):
            name = next(iter(table[kind]))
            changed = table | {kind: table[kind] | {payload: table[kind][name]}}
            path.write_text("\n".join(_toml(changed)), encoding="utf-8")
            if payload != "x" * 61:
                with pytest.raises(ConfigError):
                    catalogue(path)


def _toml(table):
    for kind, entries in table.items():
        for name, entry in entries.items():
            yield f"[{kind}.{json.dumps(name, ensure_ascii=False)}]".replace("\x7f", "\\u007f")
            for key, value in entry.items():
                yield f"{key} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f")


# --- C -------------------------------------------------------------------------------------------------------------


def test_texts_in_c_are_the_same_bytes(tmp_path):
    texts_ = [text for text in PAYLOADS if "\x00" not in text]
    source = ",\n".join(map(c_string, texts_))
    (tmp_path / "t.c").write_text(
        f'#include <stdio.h>\nstatic const char *const t[] = {{{source}}};\nint main(void) {{ for (unsigned i = 0; i < '
        'sizeof t / sizeof *t; i++) { fputs(t[i], stdout); fputc(0, stdout); } return 0; }\n'
    )  # fmt: skip
    subprocess.run(["g++", "-x", "c++", "-trigraphs", "t.c", "-o", "t"], cwd=tmp_path, check=True)
    said = subprocess.run([tmp_path / "t"], capture_output=True, check=True).stdout
    assert said.split(b"\0")[:-1] == [text.encode() for text in texts_]


# --- Markdown and HTML ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", PAYLOADS)
def test_markdown_shows_a_text_as_it_is(payload):
    plain = "".join(" " if c.isspace() else c for c in payload)
    page = Page(f"| heading |\n|---|\n| before {markdown(payload)} after |")
    assert [tag for tag, _ in page.tags] == ["table", "thead", "tr", "th", "tbody", "tr", "td"]
    seen = "".join(page.words)
    if plain.isprintable():
        assert f"before {plain.strip()} after".split() == seen.split("heading")[1].split()


def test_the_page_of_a_board_shows_names_as_they_are(tiny, tiny_codes, tmp_path):
    names = tuple(f"{number} {text}" for number, text in enumerate(PAYLOADS[: tiny_codes[0].size]))
    own = Encoding("codes", (15,), 0, 255, 8, names=names)
    rows = RawRows(tiny_codes.reshape(-1, 15), np.arange(len(tiny_codes)) % 3, PAYLOADS[15:], own)
    board = find_board("pynq-z2")
    write_board(tiny, Design(Backend.VITIS, board.part_number, 10.0), board, tmp_path, rows)
    page = Page((tmp_path / "README.md").read_text(encoding="utf-8"))
    known = {"h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "pre", "code"}
    assert {tag for tag, _ in page.tags} == known
    assert all(not attrs for _, attrs in page.tags)
    check = ["g++", "-x", "c++", "-fsyntax-only", "-trigraphs", "-Wno-narrowing", "golden_rows.h"]
    subprocess.run(check, cwd=tmp_path / "bare_metal", check=True)
    assert json.loads((tmp_path / "pynq/network.json").read_text())["encoding"]["names"] == list(names)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_kind_of_encoding_but_the_known_ones(payload):
    with pytest.raises((ValueError, FpgamlError)):
        encode_header(Encoding(payload, (1,), 0, 255, 8))


# --- figures and the terminal -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [text for text in PAYLOADS if len(text) < 99])
def test_a_figure_has_no_formulas_of_others(payload):
    from matplotlib.figure import Figure

    figure = Figure()
    text = figure.text(0.1, 0.1, drawn(payload))
    shown_text, math = text._preprocess_math(text.get_text())
    assert math is False
    assert shown_text == "".join(" " if c.isspace() else c if c.isprintable() else "?" for c in payload)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_terminal_shows_a_text_as_it_is(payload):
    said = io.StringIO()
    Console(file=said, force_terminal=False, width=100_000, highlight=False).print(f"[bold]x {shown(payload)}[/]")
    assert said.getvalue().split() == ["x", *"".join(
        c if c.isprintable() or c.isspace() else "?" for c in payload).split()]  # fmt: skip
