import io

from rich.console import Console

from fpgaml.estimate import estimate, fit
from fpgaml.estimate.tables import (
    boards_table,
    design_table,
    error_statement,
    estimate_table,
    proposals_table,
)
from fpgaml.target.boards import catalogue, find_board
from fpgaml.target.design import Design, IoType
from fpgaml.target.toolchain import Backend


def text_of(table):
    out = io.StringIO()
    Console(file=out, width=120).print(table)
    return out.getvalue()


def test_tables(jet_mlp):
    board = find_board("pynq-z2")
    design = Design(Backend.VITIS, board.part_number, 10.0, IoType.PARALLEL)
    found = estimate(jet_mlp, design, board.part)
    assert "fc3" in text_of(estimate_table(found))
    assert "after logic synthesis" in text_of(design_table(found))
    assert "resource" in text_of(proposals_table(fit(jet_mlp, design, board.part)))


def test_boards_table():
    text = text_of(boards_table(catalogue().boards.values()))
    assert "pynq-z2" in text
    assert "53.2k" in text


def test_error_statement_names_data_and_every_metric():
    text = error_statement()
    assert "86 designs, 18 repositories" in text
    for metric in ("latency", "initiation interval", "LUT", "FF", "DSP", "BRAM18"):
        assert f"{metric} " in text


def test_the_tables_of_a_card_fit_a_terminal_of_80_columns(jet_mlp):
    board = find_board("pynq-z2")
    found = estimate(jet_mlp, Design(Backend.VITIS, board.part_number, 10.0, IoType.PARALLEL), board.part)
    for table in (estimate_table(found), design_table(found), boards_table(catalogue().boards.values())):
        out = io.StringIO()
        Console(file=out, width=80).print(table)
        assert "…" not in out.getvalue()
