"""Raw rows to codes in C and in Python: the same for every number, at ties and around them above all."""

import re
import subprocess

import numpy as np
import pytest

from fpgaml.card.sections import Normalize
from fpgaml.datasets.encoding import LARGEST, SMALLEST, Encoding
from fpgaml.datasets.inputs import given_codes, nearest_of, pixels
from fpgaml.datasets.scaled import scaled_codes, scaled_encoding
from fpgaml.datasets.tables import fit
from fpgaml.errors import ConfigError, DataError
from fpgaml.ir.fixed import FixedPoint
from fpgaml.project.board import encode_header

VALUES = 5
NAMES = ("charge", "rise_time", "tail", "none", "noise")
MAIN = """
#include <stdio.h>
#include "encode.h"
int main(void) {
    static raw_t row[N_IN];
    static in_lane_t codes[IN_WORDS];
    while (fread(row, sizeof row, 1, stdin) == 1) {
        int64_t out[N_IN + 1] = {encode(row, codes)};
        for (unsigned i = 0; i < N_IN; i++)
            out[i + 1] = codes[i];
        fwrite(out, sizeof out, 1, stdout);
    }
    return 0;
}
"""
RAW = {"pixels": np.uint8, "codes": np.int64}


def exactly(text):
    return f"^{re.escape(text)}$"


def program(encoding, folder):
    """Compile the C of an encoding, as C99 with all warnings."""
    (folder / "network.h").write_text(
        f"#include <stdint.h>\n#define N_IN {encoding.count}\n#define IN_WORDS {encoding.count + 1}\n"
        "typedef int32_t in_lane_t;\n"
    )
    (folder / "encode.h").write_text(encode_header(encoding))
    (folder / "main.c").write_text(MAIN)
    flags = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run(["gcc", *flags, folder / "main.c", "-o", folder / "program"], check=True)
    return folder / "program"


def in_c(program, encoding, rows):
    """Return which value of each row C refused (0: none), and the codes of the rows it did not."""
    kind = RAW.get(encoding.kind, np.float64)
    found = subprocess.run([program], input=np.asarray(rows, kind).tobytes(), capture_output=True, check=True).stdout
    out = np.frombuffer(found, np.int64).reshape(len(rows), -1)
    return out[:, 0], out[out[:, 0] == 0, 1:]


def training(rng):
    """Rows as they may come: ranges far from 1, one value that never changes."""
    spread = np.array([1e-3, 1.0, 4e7, 0.0, 3.0])
    return rng.normal(size=(300, VALUES)) * spread + np.array([2.0, -7.0, 1e6, 3.5, 1e-9])


def encodings():
    rows = training(np.random.default_rng(2))
    found = {f"{n}{bits}": fit(n, bits, rows, NAMES)[0] for n in list(Normalize)[1:] for bits in (1, 4, 8, 16)}
    found["none"] = fit(Normalize.NONE, 8, np.round(rows[:, [1, 4, 1, 4, 1]] * 8) / 8, NAMES)[0]
    for kind in (FixedPoint(8, 0, signed=False), FixedPoint(12, 4)):
        found |= {f"scaled {scale} {kind}": scaled_encoding((5,), scale, kind) for scale in ("1/255", "3/7", "1")}
    return found


def near_ties(encoding, rng):
    """Rows whose values lie at codes and at the middle between two, and up to four floats to either side."""
    codes = np.linspace(encoding.low - 2, encoding.high + 2, 700).round()
    codes = np.concatenate([codes, codes + 0.5])
    if encoding.kind == "sample":
        low, high = rng.normal(size=(2, len(codes))) * 50
        inner = low + codes * (high - low) / encoding.high
        middle = np.stack([low, high, inner, low, np.clip(inner, low, high)], axis=1)
    else:
        scale = encoding.scale[0] / encoding.scale[1] if encoding.kind == "scaled" else np.array(encoding.scale)
        with np.errstate(divide="ignore", invalid="ignore"):
            middle = codes[:, np.newaxis] / scale + np.array(encoding.offset or 0.0)
        middle = np.where(np.isfinite(middle), middle, 3.5) * np.ones(VALUES)
    around = [middle]
    for side in (-np.inf, np.inf):
        beside = middle
        for _ in range(4):
            beside = np.nextafter(beside, side)
            around.append(beside)
    found = np.concatenate(around)
    return np.concatenate([found, found.astype(np.float32).astype(np.float64)])


@pytest.fixture(scope="module", params=encodings().items(), ids=lambda item: item[0])
def coded(request, tmp_path_factory):
    name, encoding = request.param
    return encoding, program(encoding, tmp_path_factory.mktemp(name.split()[0]))


def test_c_and_python_agree_at_ties_and_around_them(coded):
    encoding, program = coded
    rows = near_ties(encoding, np.random.default_rng(5))
    refused, codes = in_c(program, encoding, rows)
    np.testing.assert_array_equal(codes, encoding.codes(rows[refused == 0]))
    if encoding.kind != "none":
        assert not refused.any()
        assert len(np.unique(codes)) > min(2, encoding.high - encoding.low)


def test_c_and_python_agree_on_any_bits(coded):
    """Floats of every exponent, infinite and none at all among them: the same codes, and the same refusals."""
    encoding, program = coded
    rng = np.random.default_rng(6)
    doubles = rng.integers(0, 1 << 64, (20_000, VALUES), np.uint64).view(np.float64)
    with np.errstate(invalid="ignore"):
        floats = rng.integers(0, 1 << 32, (200_000, VALUES), np.uint32).view(np.float32).astype(np.float64)
    edges = np.array([0.0, -0.0, 5e-324, SMALLEST, LARGEST, -LARGEST, np.nextafter(LARGEST, np.inf), np.inf, np.nan])
    rows = np.concatenate([doubles, floats, rng.choice(edges, (2000, VALUES)), rng.choice(edges[:4], (50, VALUES))])
    refused, codes = in_c(program, encoding, rows)
    np.testing.assert_array_equal(codes, encoding.codes(rows[refused == 0]))
    assert len(codes) > 0
    for row in rows[refused > 0][:300]:
        with pytest.raises(ValueError, match="values must be "):
            encoding.codes(row[np.newaxis])


@pytest.mark.parametrize("scale", ["1/255", "2/3", "1/1000003", "0.00390625", "7"])
@pytest.mark.parametrize("kind", [FixedPoint(8, 0, False), FixedPoint(16, 4), FixedPoint(20, 0)])
def test_scaling_in_floats_is_scaling_in_integers(scale, kind):
    rows = np.arange(-(1 << 16), 1 << 16)
    found = scaled_encoding((1,), scale, kind).codes(rows[:, np.newaxis])
    np.testing.assert_array_equal(found[:, 0], scaled_codes(rows, scale, nearest_of(kind)))


def test_a_scale_that_floats_cannot_carry_is_refused():
    with pytest.raises(ConfigError) as caught:
        scaled_encoding((1,), "1/3", FixedPoint(24, 4))
    assert str(caught.value) == (
        "inputs times 1/3 as codes of fixed<24,4> are exact for a board only up to 20 bits, a denominator of "
        "2147483648 and a numerator of 2**52; choose a narrower type or a rounder scale"
    )


@pytest.mark.parametrize(
    "encoding",
    [pixels((4,), codes=tuple(range(255, -1, -1))), given_codes((4,), FixedPoint(6, 2))],
    ids=lambda one: one.kind,
)
def test_pixels_and_codes_in_c(encoding, tmp_path):
    rows = np.arange(256).reshape(-1, 4)
    refused, codes = in_c(program(encoding, tmp_path), encoding, rows)
    rows = rows.astype(RAW[encoding.kind])
    np.testing.assert_array_equal(codes, encoding.codes(rows[refused == 0]))
    assert (refused > 0).sum() == (56 if encoding.kind == "codes" else 0)


def test_standard_scores():
    rows = np.array([[0.0, 5.0], [2.0, 5.0], [4.0, 5.0]])  # mean 2, deviation sqrt(8/3); the second never changes
    encoding, kind = fit(Normalize.STANDARD, 8, rows, ("a", "b"))
    assert (kind, encoding.offset, encoding.scale[1]) == (FixedPoint(8, 3), (2.0, 5.0), 0.0)
    assert encoding.codes([[0, 5], [2, 9], [4, 5], [2 + 8 / 3**0.5, 5], [99, 5], [-99, -99]]).tolist() == [
        [-39, 0], [0, 0], [39, 0], [91, 0], [127, 0], [-128, 0],
    ]  # fmt: skip


def test_columns_go_by_name():
    encoding, _ = fit(Normalize.FEATURE, 8, np.array([[0.0, 10.0], [1.0, 20.0]]), ("a", "b"))
    assert encoding.codes({"b": [20, 10], "label": [1, 2], "a": [0, 1]}).tolist() == [[0, 255], [255, 0]]
    with pytest.raises(ValueError, match=exactly("rows have no column 'a'; they must have a, b")):
        encoding.codes({"b": [20], "A": [0]})
    with pytest.raises(ValueError, match=exactly("a row must have 2 values, shape (2,), not 3")):
        encoding.codes([[1, 2, 3]])
    with pytest.raises(
        ValueError, match=exactly("values must be finite and of at most 1e+100 in size: row 1, 'b' is nan")
    ):
        encoding.codes([[1, 2], [3, np.nan]])
    with pytest.raises(ValueError, match=exactly("rows must be an array: the values of these rows have no names")):
        pixels((2,)).codes({"a": [1]})


def test_an_encoding_that_does_not_fit_itself():
    with pytest.raises(ValueError, match=r"^offset of encoding 'feature' must be 2, not 1$"):
        Encoding("feature", (2,), 0, 255, 8, offset=(1.0,), scale=(1.0, 2.0))
    with pytest.raises(ValueError, match=r"^kind of an encoding must be one of codes, pixels, none, .*, not 'log'$"):
        Encoding("log", (2,), 0, 255, 8)


def test_what_needs_too_many_bits_says_what_else_there_is():
    with pytest.raises(DataError) as caught:
        fit(Normalize.NONE, 8, np.array([[0.001], [2.0]]))
    assert str(caught.value) == "values need 62 bits to be exact, more than 16; set data.normalize to 'feature', " + (
        "'standard' or 'sample'"
    )
