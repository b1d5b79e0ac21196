"""FixedPoint against ap_fixed.h itself, compiled once: thousands of types, every rounding and overflow mode."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import hls4ml
import numpy as np
import pytest

from fpgaml.backend import csim
from fpgaml.errors import ConfigError, DataError
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding, grid, smallest

AP_TYPES = Path(hls4ml.__file__).parent / "templates/vivado/ap_types"
SOURCE_FRACTION = 8  # casts start from ap_fixed<30,22>

PROGRAM = """
#include <cstdio>
#include <cstdint>
#include "ap_fixed.h"
template <class T> struct is_unsigned { static const bool value = false; };
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> struct is_unsigned<ap_ufixed<W, I, Q, O, N>> {
    static const bool value = true;
};
template <int W> struct is_unsigned<ap_uint<W>> { static const bool value = true; };
template <class T> void all(const int32_t *codes, long n) {
    for (long i = 0; i < n; i++) {
        ap_fixed<30, 22> x;
        x.range(29, 0) = ap_int<30>(codes[i]);
        T y = x;
        ap_int<T::width> bits = y.range(T::width - 1, 0);
        int64_t code = bits.to_int64();
        if (is_unsigned<T>::value && code < 0) code += int64_t(1) << T::width;
        fwrite(&code, 8, 1, stdout);
    }
}
int main() {
    static int32_t codes[1 << 20];
    long n = fread(codes, 4, 1 << 20, stdin);
@CALLS@
}
"""


def kinds():
    """Types of 1 to 13 bits around the source's grid, each with every mode: 1,386 of them."""
    shapes = [
        (1, 0),
        (1, 1),
        (2, 1),
        (3, 5),
        (4, -2),
        (5, 2),
        (6, 6),
        (7, 9),
        (8, 0),
        (9, 4),
        (13, 7),
        (12, -3),
        (10, 12),
    ]
    shapes += [(width, integer) for width in (3, 7, 11, 16) for integer in (-1, 3, 8)]
    for (width, integer), signed, rounding, overflow in product(shapes, (True, False), Rounding, Overflow):
        if not (signed and width == 1 and overflow is Overflow.SAT_SYM):
            yield FixedPoint(width, integer, signed, rounding, overflow)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """What ap_fixed makes of some thousand codes in every type: (types, codes)."""
    folder = tmp_path_factory.mktemp("ap_fixed")
    rng = np.random.default_rng(1)
    codes = np.concatenate(
        [np.arange(-300, 300), rng.integers(-(1 << 14), 1 << 14, 800), rng.integers(-(1 << 29), 1 << 29, 200)]
    )
    types = sorted(kinds(), key=lambda kind: kind.rounding)
    parts = {mode: [kind for kind in types if kind.rounding is mode] for mode in sorted(Rounding)}

    with ThreadPoolExecutor(2) as pool:  # one program a rounding mode: g++ takes a gigabyte for all in one
        done = np.concatenate(list(pool.map(lambda mode: casts(folder, mode, parts[mode], codes), parts)))
    return types, codes, done


def casts(folder, name, types, codes, headers=AP_TYPES, level="-O0"):
    """What ap_fixed makes of `codes` in each of `types`: (types, codes)."""
    calls = "\n".join(f"    all<{kind.cpp}>(codes, n);" for kind in types)
    (folder / f"{name}.cpp").write_text(PROGRAM.replace("@CALLS@", calls))
    command = ["g++", level, "-w", "-std=gnu++17", f"-I{headers}", f"{name}.cpp", "-o", name]
    subprocess.run(command, cwd=folder, check=True, timeout=900)
    given = codes.astype(np.int32).tobytes()
    out = subprocess.run([folder / name], input=given, capture_output=True, check=True).stdout
    return np.frombuffer(out, np.int64).reshape(len(types), len(codes))


def test_cast_equals_ap_fixed(compiled):
    types, codes, expected = compiled
    for kind, theirs in zip(types, expected, strict=True):
        np.testing.assert_array_equal(kind.cast(codes, SOURCE_FRACTION), theirs, err_msg=str(kind))


def test_cast_equals_the_leaner_types_of_csim_when_optimized(compiled, tmp_path):
    """In the modes that generated C++ has; all 1,386 types were compared once, see docs/decisions.md."""
    types, codes, _ = compiled
    modes = (Rounding.RND_CONV, Rounding.TRN)
    chosen = [kind for kind in types if kind.rounding in modes and kind.overflow is not Overflow.SAT_ZERO][::3]
    found = casts(tmp_path, "lean", chosen, codes, csim.lean_types(AP_TYPES, tmp_path / "types"), "-O2")
    for kind, theirs in zip(chosen, found, strict=True):
        np.testing.assert_array_equal(kind.cast(codes, SOURCE_FRACTION), theirs, err_msg=str(kind))


def test_encode_equals_ap_fixed(compiled):
    types, codes, expected = compiled
    values = codes * 2.0**-SOURCE_FRACTION
    for kind, theirs in zip(types, expected, strict=True):
        np.testing.assert_array_equal(kind.encode(values), theirs, err_msg=str(kind))


def test_a_value_by_hand():
    kind = FixedPoint(6, 2, signed=False, rounding=Rounding.RND_CONV, overflow=Overflow.SAT)
    np.testing.assert_array_equal(kind.encode([0.5, 1.03125, 1.09375, 9.0, -1.0]), [8, 16, 18, 63, 0])
    np.testing.assert_array_equal(kind.decode([63, 1]), [3.9375, 0.0625])


@pytest.mark.parametrize(
    "text", ["ap_fixed<8,3>", "ap_ufixed<6,2,AP_RND_CONV,AP_SAT,0>", "ap_fixed<8,-2,AP_TRN_ZERO,AP_SAT_SYM,0>"]
)
def test_cpp_name_round_trip(text):
    assert FixedPoint.parse(text).cpp == text


def test_short_names():
    assert FixedPoint.parse("ufixed<8,0>") == FixedPoint(8, 0, signed=False)
    assert FixedPoint.parse("ap_uint<4>") == FixedPoint(4, 4, signed=False)
    assert str(FixedPoint.parse("fixed<8,3,RND,SAT>")) == "fixed<8,3,RND,SAT>"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("float", "'float' is not a fixed-point type; write e.g. fixed<16,6> or ufixed<8,2,RND_CONV,SAT>"),
        ("fixed<8>", "'fixed<8>' must give width and integer bits as numbers"),
        ("fixed<8,2,RNDCONV>", "'fixed<8,2,RNDCONV>': unknown mode 'RNDCONV'; did you mean 'RND_CONV'?"),
        ("fixed<8,2,RND,SAT,3>", "'fixed<8,2,RND,SAT,3>': saturation bits other than 0 are not supported"),
        ("fixed<0,2>", "width of a fixed-point type must be 1 to 63 bits, not 0"),
        ("fixed<1,1,TRN,SAT_SYM>", "a signed type of 1 bit cannot be SAT_SYM: it would hold only 0; use 2 bits or SAT"),
    ],
)
def test_refused_types(text, message):
    with pytest.raises(ConfigError) as caught:
        FixedPoint.parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_refused_values(value):
    with pytest.raises(DataError, match=r"^values for fixed<8,3> must be finite, not NaN or infinite$"):
        FixedPoint(8, 3).encode([0.0, value])


def test_wide_casts_do_not_overflow_int64():
    wide = FixedPoint(63, 3, rounding=Rounding.RND, overflow=Overflow.SAT)
    np.testing.assert_array_equal(wide.cast([1, -1, 1 << 40], 0), [1 << 60, -(1 << 60), wide.high])
    np.testing.assert_array_equal(FixedPoint(4, 4).cast([7, -7], 70), [0, -1])


def test_smallest_holds_exactly():
    assert smallest(-8, 7, 2) == FixedPoint(4, 2)
    assert smallest(-9, 7, 2) == FixedPoint(5, 3)
    assert smallest(0, 255, 8) == FixedPoint(8, 0, signed=False)
    assert smallest(0, 8, 0, signed=True) == FixedPoint(5, 5)


def test_grid_finds_the_fewest_fraction_bits():
    codes, fraction = grid([0.75, -2.0, 0.0])
    assert fraction == 2
    np.testing.assert_array_equal(codes, [3, -8, 0])
    assert grid([4.0, 8.0])[1] == -2
    assert grid([0.0])[1] == 0
    with pytest.raises(DataError, match=r"^values need \d+ bits to be exact, more than 62$"):
        grid([1e18, 1e-9])
