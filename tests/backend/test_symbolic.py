"""The number types on symbols against ap_fixed.h: casts to 1,386 types, and arithmetic, by the same C++ source."""

import subprocess

import numpy as np
import pytest

from fpgaml.backend import explore
from fpgaml.exact.forms import OVERFLOWS, ROUNDINGS
from fpgaml.target.process import find_tool
from tests.ir.test_ap_fixed import AP_TYPES, SOURCE_FRACTION, compile_once, compiled, folder

__all__ = ["compiled", "folder"]  # fixtures

CASTS = """
#include <cstdio>
#include <cstdlib>
#include <vector>
#include "runtime.h"
using namespace symbolic;
template <class T> std::vector<T> read(size_t n) {
    std::vector<T> found(n);
    if (std::fread(found.data(), sizeof(T), n, stdin) != n) std::exit(4);
    return found;
}
static int64_t code(Int code, int from, int to) { return code ? int64_t(code * (Int(1) << (to - from))) : 0; }
int main() {
    auto counts = read<int32_t>(2);
    auto kinds = read<int32_t>(5 * counts[0]);
    auto codes = read<int32_t>(counts[1]);
    const Kind from{30, 22, 1, 5, 3}; // TRN, WRAP
    for (int k = 0; k < counts[0]; k++) {
        const int32_t *p = &kinds[5 * k];
        const Kind to{p[0], p[1], p[2], p[3], p[4]};
        const int frac = p[0] - p[1];
        for (int32_t x : codes) {
            Value v = cast(constant(x, @FRACTION@), from, to);
            int64_t y = code(v->low, v->frac, frac);
            std::fwrite(&y, 8, 1, stdout);
        }
        for (size_t i = 0; i + 1 < codes.size(); i++) { // a variable between two codes: as it was, low, high
            Node *n = new Node{VAR, @FRACTION@, codes[i], codes[i + 1], nullptr, nullptr, {}, nullptr, 0, -1};
            Value v = cast(n, from, to);
            bool same = v == n;
            int64_t y[3] = {same, same ? 0 : code(v->low, v->frac, frac), same ? 0 : code(v->high, v->frac, frac)};
            std::fwrite(y, 8, 3, stdout);
        }
    }
}
"""


@pytest.fixture(scope="module")
def on_symbols(compiled, tmp_path_factory):
    """What the symbolic types make of the same codes, and of variables between neighbours."""
    types, codes, _ = compiled
    place = tmp_path_factory.mktemp("symbolic")
    (place / "main.cpp").write_text(CASTS.replace("@FRACTION@", str(SOURCE_FRACTION)))
    compiler = find_tool("g++", "for this test")
    objects = explore.runtime(compiler, place / "log")
    command = [
        compiler,
        *explore.FLAGS,
        "-O1",
        f"-I{explore.SYMBOLIC}",
        place / "main.cpp",
        *objects,
        "-o",
        place / "a",
    ]
    subprocess.run(command, check=True)
    ordered = np.unique(codes)
    kinds = [(k.width, k.integer, k.signed, ROUNDINGS.index(k.rounding), OVERFLOWS.index(k.overflow)) for k in types]
    given = [np.array([len(types), len(ordered)]), np.array(kinds), ordered]
    stdin = b"".join(one.astype(np.int32).tobytes() for one in given)
    out = subprocess.run([place / "a"], input=stdin, capture_output=True, check=True).stdout
    n = len(ordered)
    found = np.frombuffer(out, np.int64).reshape(len(types), n + 3 * (n - 1))
    return ordered, found[:, :n], found[:, n:].reshape(len(types), n - 1, 3)


def test_a_constant_is_cast_as_ap_fixed_casts_it(compiled, on_symbols):
    types, codes, expected = compiled
    _ordered, casts, _ = on_symbols
    assert len(types) == 1386
    first = np.unique(codes, return_index=True)[1]
    for kind, ours, theirs in zip(types, casts, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs[first], err_msg=str(kind))


def test_a_cast_that_is_left_out_changes_nothing_and_another_stays_in_its_interval(compiled, on_symbols):
    types, _, _ = compiled
    ordered, _, variables = on_symbols
    left_out = 0
    for kind, found in zip(types, variables, strict=True):
        between = np.linspace(ordered[:-1], ordered[1:], 5).astype(np.int64)
        cast = kind.cast(between, SOURCE_FRACTION)
        same = found[:, 0] == 1
        left_out += same.sum()
        exact = np.asarray(between, object) << max(kind.fraction - SOURCE_FRACTION, 0)
        assert kind.fraction >= SOURCE_FRACTION or not same.any(), str(kind)
        np.testing.assert_array_equal(cast[:, same], exact[:, same].astype(np.int64), err_msg=str(kind))
        low, high = found[~same, 1], found[~same, 2]
        assert (cast[:, ~same] >= low).all(), str(kind)
        assert (cast[:, ~same] <= high).all(), str(kind)
    assert left_out > 1000


ARITHMETIC = """
#include <cstdio>
#include "ap_fixed.h"
static void put(double x) { std::fwrite(&x, 8, 1, stdout); }
template <class A, class B> void both(const double *given, int n) {
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            A a = given[i], c = a;
            B b = given[j];
            put(double(a + b)), put(double(a - b)), put(double(a * b)), put(double(-a));
            put(a < b), put(a <= b), put(a > b), put(a >= b), put(a == b), put(a != b);
            put(double(a << 1)), put(double(a >> 1));
            if (double(b) != 0 && double(A(0.5)) == 0.5) put(double(a / b));
            c += b; put(double(c)); c -= a; put(double(c)); c *= b; put(double(c));
            put(double(A(a + b))), put(double(B(a * b)));
            put(a[0]), put(int64_t(a(1, 0))), put(a.to_int());
            put(a > 0), put(a == 1), put(double(a + 1)), put(double(2 - b));
        }
}
int main() {
    static double given[64];
    int n = int(std::fread(given, 8, 64, stdin));
@CALLS@
}
"""
OPERANDS = (
    "ap_fixed<8,3>", "ap_ufixed<7,2>", "ap_fixed<6,6,AP_RND_CONV,AP_SAT>", "ap_ufixed<5,1,AP_RND,AP_SAT>",
    "ap_fixed<9,-1>", "ap_fixed<4,7,AP_TRN,AP_SAT_SYM>",
)  # fmt: skip


def test_arithmetic_is_that_of_ap_fixed(folder, tmp_path):
    """Sums, products, quotients, comparisons, shifts, bits, built-in numbers: 12 x 12 values of 36 pairs of types.

    Not of ap_int, which ap_int.h makes of fractions otherwise than the symbolic types do, and no quotient of a type of
    quarters and less, whose sign ap_fixed.h may lose: our C++ has neither.
    """
    calls = [f"    both<{a}, {b}>(given, n);" for a in OPERANDS for b in OPERANDS]
    source = ARITHMETIC.replace("@CALLS@", "\n".join(calls))
    given = np.array([0, 0.25, -0.25, 0.5, 1, -1, 1.75, -2.5, 3.125, 5, -7.5, 13.0])
    real = compile_once(folder, source, AP_TYPES, "-O0")
    (tmp_path / "main.cpp").write_text(source)
    compiler = find_tool("g++", "for this test")
    include = [f"-I{explore.SYMBOLIC}", tmp_path / "main.cpp", *explore.runtime(compiler, tmp_path / "log")]
    subprocess.run([compiler, *explore.FLAGS, "-O0", *include, "-o", tmp_path / "a"], check=True)
    ours, theirs = (
        np.frombuffer(subprocess.run([program], input=given.tobytes(), capture_output=True, check=True).stdout)
        for program in (tmp_path / "a", real)
    )
    assert len(ours) > 100_000
    np.testing.assert_array_equal(ours, theirs)
