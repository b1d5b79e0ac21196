"""report.html in a real browser: it runs, it can be used, it is text whatever names say, and it asks nothing."""

import re

import numpy as np
import pytest

from fpgaml.datasets.encoding import Encoding
from fpgaml.exact import emulate
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import Activation, Dense, Flatten, Function, Input, Network, Weights
from fpgaml.report.page import Fact, page, play_record, rendered
from tests.networks import weights
from tests.report.browser import launched

HOSTILE = [
    "</script><img src=x onerror=alert(1)>", "\"'><svg onload=alert(2)>", "javascript:alert(3)", "\u202eevil\u202c",
    "x" * 10_000, "{{ 7 * 7 }}", "<!--", "]]>", "![](http://example.org/a.png)", "[a](javascript:alert(4))",
]  # fmt: skip
PIXELS = Encoding("pixels", (28, 28, 1), 0, 255, 8, pixels=tuple(range(256)))


def digits(hidden=12):
    """A network of random weights on images as MNIST's."""
    rng = np.random.default_rng(0)
    return Network(
        "digits",
        (
            Input("image", (), (28, 28, 1), FixedPoint(8, 0, signed=False)),
            Flatten("flat", ("image",)),
            Dense("fc1", ("flat",), weights(rng, 784, hidden), weights(rng, hidden)),
            Activation("relu", ("fc1",), Function.RELU, FixedPoint(6, 4, False, Rounding.RND_CONV, Overflow.SAT)),
            Dense("logits", ("relu",), weights(rng, hidden, 10), weights(rng, 10)),
        ),
    )


NET = digits()
CODES = np.random.default_rng(1).integers(0, 256, (5, 28, 28, 1))
TEXT = """# Title

> **A note.**

## First

| name | size |
|---|---:|
| b | 1,200 |
| a | ~30 |

![A figure](figures/one.png)

*Its caption.*
"""


def sections(network, names=()):
    rows = [("what", name, "from") for name in names]
    return [
        {
            "name": one.name,
            "words": one.words,
            "shape": "1",
            "type": "t",
            "rows": rows,
            "weights": isinstance(one, Dense),
        }
        for one in network
    ]


def written(folder, network=NET, codes=CODES, classes="0123456789", encoding=PIXELS, names=(), text=TEXT, noun="image"):
    """Return the address of a page."""
    (folder / "figures").mkdir(exist_ok=True)
    (folder / "figures" / "one.svg").write_text(
        '<?xml version="1.0"?><svg viewBox="0 0 4 4"><path d="M0 0L4 4"/></svg>'
    )
    labels, floats = [0] * len(codes), [1] * len(codes)
    out = network.output.name
    made = page(
        title=names[0] if names else "run",
        facts=[Fact("bit for bit", "proved equal", "0 of 10", "good"), *(Fact(name, name, name) for name in names)],
        text=text,
        folder=folder,
        note=names[1] if names else "",
        layers=sections(network, names),
        data=play_record(network, out, codes, labels, floats=floats, classes=classes, noun=noun, encoding=encoding),
        noun=noun,
    )
    path = folder / "report.html"
    path.write_text(made, encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def browser():
    yield from launched()


@pytest.fixture
def opened(browser, tmp_path):
    """Return a function that opens an address; what the page complains of or asks for fails the test."""
    seen = []
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.on("console", lambda message: seen.append(message.text))
    tab.on("pageerror", lambda error: seen.append(str(error)))
    tab.on("dialog", lambda dialog: (seen.append(dialog.message), dialog.dismiss()))
    tab.on(
        "request", lambda request: seen.append(request.url) if not request.url.startswith(("file:", "data:")) else None
    )

    def go(address):
        tab.goto(address)
        return tab

    yield go
    context.close()
    assert seen == []


def traced(tab, name="logits"):
    return [int(code) for code in tab.evaluate(f"Array.from(window.trace[{name!r}].codes, String)")]


def test_a_chosen_image_is_run_as_the_emulator_runs_it(opened, tmp_path):
    tab = opened(written(tmp_path))
    for n in range(len(CODES)):
        tab.select_option("#sample", str(n))
        expected = emulate.trace(NET, CODES[n : n + 1])
        for layer in NET:
            assert traced(tab, layer.name) == expected[layer.name].ravel().tolist()
        best = int(expected["logits"].argmax())
        text = tab.inner_text("#found")
        assert re.fullmatch(
            rf"Class {best}, in [\d.]+ ms\. Test image {n + 1}: its label is 0; the float network said 1\.", text
        ), text


def test_drawing_by_mouse_gives_the_codes_that_are_run(opened, tmp_path):
    tab = opened(written(tmp_path))
    box = tab.locator("#pad").bounding_box()
    tab.mouse.move(box["x"] + 60, box["y"] + 60)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 60, box["y"] + 200, steps=8)
    tab.mouse.up()
    drawn = np.array(traced(tab, "image")).reshape(28, 28)
    rows, columns = np.nonzero(drawn > 100)
    assert 19 <= rows.max() - rows.min() + 1 <= 21  # a box of 20, as MNIST's
    assert abs(columns.mean() - 13.5) < 1.5  # moved to the middle
    assert traced(tab) == emulate.run(NET, drawn.reshape(1, 28, 28, 1)).ravel().tolist()
    tab.click("#clear")
    assert set(traced(tab, "image")) == {0}


def test_a_pixel_is_changed_by_mouse_and_by_keys(opened, tmp_path):
    tab = opened(written(tmp_path))
    before = traced(tab, "image")
    tab.check("#pixel")
    tab.locator("#pad").click(position={"x": 15, "y": 5})  # second pixel of the first row
    after = traced(tab, "image")
    assert [n for n in range(784) if before[n] != after[n]] == [1]
    assert after[1] in (0, 255)
    assert tab.inner_text("#changed") == "1 input value changed since it was chosen."
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Space")
    both = traced(tab, "image")
    assert [n for n in range(784) if before[n] != both[n]] == [1, 29]
    assert traced(tab) == emulate.run(NET, np.array(both).reshape(1, 28, 28, 1)).ravel().tolist()


def test_an_image_file_of_another_size_is_scaled_and_said(opened, tmp_path):
    from matplotlib import image

    picture = np.zeros((56, 40))
    picture[20:40, 10:20] = 1
    image.imsave(tmp_path / "a.png", picture, cmap="gray")
    (tmp_path / "b.png").write_bytes(b"no image")
    tab = opened(written(tmp_path))
    tab.set_input_files("#file", tmp_path / "a.png")
    tab.locator("#told", has_text="scaled").wait_for()
    assert tab.inner_text("#told") == "An image of 40 x 56: scaled to 28 x 28."
    assert max(traced(tab, "image")) == 255
    tab.set_input_files("#file", tmp_path / "b.png")
    tab.locator("#told", has_text="no image").wait_for()
    assert tab.inner_text("#told") == "This file is no image that a browser reads."


def test_values_of_a_table_are_changed_by_name(opened, tmp_path):
    kernel, bias = Weights(np.array([[1, -1], [2, 3]]), FixedPoint(4, 4)), Weights(np.array([0, 1]), FixedPoint(4, 4))
    made = Network("table", (Input("x", (), (2,), FixedPoint(6, 3)), Dense("y", ("x",), kernel, bias)))
    encoding = Encoding("none", (2,), -32, 31, 3, ("charge", "rise < time"), scale=(1.0,))
    tab = opened(written(tmp_path, made, np.array([[8, -4]]), ("a", "b"), encoding, noun="sample"))
    assert tab.locator(".fields label").all_inner_texts() == ["charge", "rise < time"]
    assert tab.locator("#value0").input_value() == "1"
    tab.fill("#value1", "2")
    tab.keyboard.press("Enter")
    assert traced(tab, "x") == [8, 16]
    assert traced(tab, "y") == emulate.run(made, np.array([[8, 16]])).ravel().tolist()
    tab.fill("#value1", "1000")  # beyond the type: the highest code
    tab.keyboard.press("Enter")
    assert traced(tab, "x") == [8, 31]


def test_names_are_text_and_nothing_is_run_or_fetched(opened, tmp_path):
    text = "# t\n\n" + "\n\n".join(f"## {name}\n\n{name}\n\n| a |\n|---|\n| {name} |" for name in HOSTILE)
    encoding = Encoding("none", (10,), -32, 31, 3, tuple(HOSTILE), scale=(1.0,))
    rng = np.random.default_rng(0)
    made = Network(
        "net", (Input("x", (), (10,), FixedPoint(6, 3)), Dense("y", ("x",), weights(rng, 10, 10), weights(rng, 10)))
    )
    tab = opened(written(tmp_path, made, np.zeros((2, 10), int), HOSTILE, encoding, HOSTILE, text))
    tab.wait_for_timeout(200)
    assert tab.locator("img").count() == 0
    assert tab.locator("script").count() == 2
    assert tab.evaluate("document.querySelectorAll('[onload],[onerror]').length") == 0
    assert tab.locator("a[href^=javascript]").count() == 0
    assert tab.locator(".fields label").all_inner_texts() == HOSTILE
    assert tab.title() == HOSTILE[0]


def test_only_svg_of_the_folder_is_read(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "out.svg").write_text("<svg>secret</svg>")
    body, _ = rendered("![a](../out.png)\n\n![b](/etc/passwd)\n\n![c](figures/none.png)", tmp_path / "run")
    assert body == "<p></p>\n<p></p>\n<p></p>\n"


def test_tables_sort_by_a_click(opened, tmp_path):
    tab = opened(written(tmp_path))
    rows = lambda: tab.locator("table:has(thead) tbody tr td:first-child").all_inner_texts()  # noqa: E731
    assert rows() == ["b", "a"]
    tab.click("th:nth-child(2) button")
    assert rows() == ["a", "b"]  # 30 before 1,200
    assert tab.get_attribute("th:nth-child(2)", "aria-sort") == "ascending"
    tab.click("th:nth-child(2) button")
    assert rows() == ["b", "a"]


@pytest.mark.parametrize("width", [360, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_fits_its_window_and_can_be_read(browser, tmp_path, width, scheme):
    axe = pytest.importorskip("axe_core_python.sync_playwright", reason="axe-core-python is not installed")
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True)
    tab = context.new_page()
    tab.goto(written(tmp_path, names=HOSTILE[:5]))
    for summary in tab.locator("summary").all():
        summary.click()
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    found = axe.Axe().run(tab)["violations"]
    context.close()
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    serious = [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in serious]
    assert serious == []


def test_theme_is_chosen_by_a_button(opened, tmp_path):
    tab = opened(written(tmp_path))
    colour = lambda: tab.evaluate("getComputedStyle(document.body).backgroundColor")  # noqa: E731
    light = colour()
    tab.click("#theme")
    assert colour() != light
    tab.click("#theme")
    assert colour() == light


def test_a_layer_that_the_page_has_no_code_for_is_said(opened, tmp_path):
    address = written(tmp_path)
    path = tmp_path / "report.html"
    path.write_text(path.read_text(encoding="utf-8").replace('"kind":"Flatten"', '"kind":"Spiral"'), encoding="utf-8")
    tab = opened(address)
    assert tab.inner_text("#can-run") == (
        "This network cannot run in the page: it has no code for Spiral yet. The C simulation and the emulator have."
    )
    assert not tab.is_visible("#play")
