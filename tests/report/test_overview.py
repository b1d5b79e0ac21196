"""Runs in one table, two runs side by side, and pages of runs that have none."""

import json
import re

import pytest

from fpgaml.quoting import markdown
from fpgaml.report import overview
from tests.commands import command

RECORD = {
    "comparison": {
        "executions": [
            {"name": "float", "accuracy": 0.975, "mismatching_logits": None},
            {"name": "emulator", "accuracy": 0.97, "mismatching_logits": 0},
            {"name": "C simulation", "accuracy": 0.97, "mismatching_logits": 0},
        ]
    },
    "size": {"parameters": 1234},
    "estimate": {
        "weight_bits": 5000, "latency_us": {"median": 1.25}, "verdict": "fits",
        "design": {"after logic synthesis": {"LUT": {"median": 2000.0}}},
    },
    "design": {"part": "xc7z020"},
    "digests": {"data": "a" * 64, "network": "b" * 64},
    "versions": {"python": "3.11"},
}  # fmt: skip
CARD = 'name = "{name}"\n[training]\nepochs = {epochs}\n[[model.layers]]\nkind = "dense"\nname = "fc1"\nunits = 8\n'


def run_folder(base, name, epochs=3, record=RECORD, steps=("train", "quantize")):
    made = base / name
    made.mkdir(parents=True)
    steps = {step: {"seconds": 1.5, "summary": f"{step} <b>done</b>"} for step in steps}
    (made / "run.json").write_text(json.dumps({"fpgaml": 1, "name": name, "steps": steps}))
    (made / "card.toml").write_text(CARD.format(name=name, epochs=epochs))
    if record is not None:
        (made / "report.json").write_text(json.dumps(record))
        (made / "report.md").write_text(f"# {name}\n\n## Size\n\nall\n")
    return made


def test_runs_of_a_folder_finished_and_not(tmp_path):
    run_folder(tmp_path, "one")
    run_folder(tmp_path, "two", record=None)
    (tmp_path / "no_run").mkdir()
    first, second = overview.found_runs(tmp_path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", first.date)
    assert first == overview.RunRow("one", True, 0.97, 0.975, 0, 5000, 1.25, 2000.0, "xc7z020", first.date)
    assert second == overview.RunRow("two", False, None, None, None, None, None, None, None, second.date)


def test_the_page_of_all_runs_leads_to_a_page_of_each(tmp_path):
    for name in ("one", "two"):
        run_folder(tmp_path, name, record=RECORD if name == "one" else None)
    page = overview.overview_page(tmp_path).read_text()
    assert '<a href="one/report.html">one</a>' in page
    assert '<td style="text-align:right">97.00</td>' in page
    assert ">not finished</td>" in page
    assert "index.svg" not in page  # one run alone is no figure
    stopped = (tmp_path / "two" / "report.html").read_text()
    assert "train &lt;b&gt;done&lt;/b&gt;" in stopped
    run_folder(tmp_path, "three")
    assert (
        '<svg role="img" aria-label="Accuracy against bits of weights"' in overview.overview_page(tmp_path).read_text()
    )


def test_a_run_that_failed_says_why(tmp_path):
    run = run_folder(tmp_path, "one", record=None)
    comparison = {
        "failure": "layer 'fc1': 3 of 10 differ",
        "layers": {"QKeras": {"fc1": 3}, "C simulation": {"fc1": 0}},
    }
    (run / "comparison.json").write_text(json.dumps(comparison))
    page = overview.page_of(run).read_text()
    assert '<dd class="large bad">not proved</dd><dd class="origin">layer &#39;fc1&#39;: 3 of 10 differ</dd>' in page
    assert re.search(r"<td>fc1</td>\s*<td[^>]*>3</td>\s*<td[^>]*>0</td>", page)


def test_a_run_of_an_older_version_has_the_page_of_its_report(tmp_path):
    page = overview.page_of(run_folder(tmp_path, "one")).read_text()
    assert "by an older version" in page
    assert '<h2 id="s1">Size</h2>' in page


def test_what_two_runs_differ_in(tmp_path):
    other = json.loads(json.dumps(RECORD))
    other["comparison"]["executions"][2]["accuracy"] = 0.98
    other["digests"]["network"] = "c" * 64
    del other["versions"]
    found = overview.difference(run_folder(tmp_path, "one"), run_folder(tmp_path, "two", 4, other))
    assert found == [
        overview.Different("card", "name", "one", "two"),
        overview.Different("card", "training.epochs", "3", "4"),
        overview.Different("data and versions", "digest of network", "b" * 16, "c" * 16),
        overview.Different("data and versions", "python", "3.11", "not recorded"),
        overview.Different("results", "accuracy, C simulation", "97.00 %", "98.00 %"),
    ]


def test_a_key_that_one_card_leaves_out_is_its_default(tmp_path):
    left, right = run_folder(tmp_path, "one"), run_folder(tmp_path / "b", "one")
    (right / "card.toml").write_text((right / "card.toml").read_text().replace("epochs = 3", ""))
    assert overview.difference(left, right) == [overview.Different("card", "training.epochs", "3", "default")]


def test_a_page_of_two_runs_has_the_figures_of_both(tmp_path):
    sides = [run_folder(tmp_path, name) for name in ("one", "two")]
    for side in sides:
        (side / "figures").mkdir()
        (side / "figures" / "ranges.svg").write_text(f"<svg><text>{side.name}</text></svg>")
    page = overview.difference_page(*sides, tmp_path / "d.html").read_text()
    assert "<text>one</text>" in page
    assert "<text>two</text>" in page
    assert '<h2 id="s2">Ranges</h2>' in page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["view", "none"], "error: none is no run: name a folder that fpgaml run or convert made"),
        (["view", "-o", "none"], "error: folder none does not exist; name the folder that the runs are in"),
        (["view", "-o", "."], "error: folder . has no run; fpgaml run CARD makes one"),
        (["diff", "none", "none"], "error: none is no run: name a folder that fpgaml run or convert made"),
    ],
)
def test_refusals(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command(monkeypatch, *words) == 2
    assert capsys.readouterr().err == message + "\n"


def test_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    left, right = run_folder(tmp_path, "one"), run_folder(tmp_path, "two", 4)
    assert command(monkeypatch, "view", left) == 0
    assert capsys.readouterr().out == f"page: {left / 'report.html'}\n"
    assert command(monkeypatch, "view", "-o", tmp_path) == 0
    assert capsys.readouterr().out == f"page: {tmp_path / 'index.html'}\n"
    assert command(monkeypatch, "diff", left, right) == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["                   one  two", "card", "  name             one  two", "  training.epochs  3    4"]
    assert command(monkeypatch, "diff", left, left) == 0
    assert capsys.readouterr().out == f"{left} and {left} differ in nothing that they recorded\n"
    assert command(monkeypatch, "diff", left, right, "--json") == 0
    assert json.loads(capsys.readouterr().out)[1] == {
        "group": "card", "what": "training.epochs", "left": "3", "right": "4",
    }  # fmt: skip


def test_names_are_shown_and_never_markup():
    name = "a|b](javascript:x) <img> **c** `d` \\ \n# e"
    text = "\n".join(overview.table(("x", "y"), [(markdown(name), "1")]))
    from fpgaml.report.page import rendered

    body, _ = rendered(text, None)
    assert "<td>a|b](javascript:x) &lt;img&gt; **c** `d` \\  # e</td>" in body


def test_numbers_stand_right_and_words_left():
    assert overview.table(("a", "b", "c"), [("x", "1,000", "-"), ("y", "~2.5", "word")])[1] == "|---|---:|---|"
    assert overview.table(("a", "b"), []) == ["| a | b |", "|---|---|"]
