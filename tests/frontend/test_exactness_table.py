"""docs/exactness.md against the tests: every row names a case that exists, and says exact only where one shows it."""

from pathlib import Path

import pytest

from tests.frontend.test_read import MODELS

TEXT = (Path(__file__).parents[2] / "docs/exactness.md").read_text(encoding="utf-8")
SECTIONS = TEXT.split("\n## ")[1:3]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for section in SECTIONS
    for line in section.splitlines()
    if line.startswith("| ") and not line.startswith("| construct")
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_says_what_the_tests_show(row):
    _, _, ours, case = row
    if case in ("refused", "stated"):
        assert "refused" in ours or "stated" in ours or "rounded" in ours
        return
    assert case in MODELS or case == "quantizer"
    assert "exact" in ours or "left out" in ours


def test_the_table_is_whole():
    assert len(ROWS) == 73
