"""FixedPoint against ap_fixed.h itself, compiled once: thousands of types, every rounding and overflow mode.

g++ takes two minutes of processor time for them, so pytest's own cache keeps the programs, by the digest of all that
they are made from: they are compiled again when a type, a header or the compiler is another (`--cache-clear`).
"""

import hashlib
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import hls4ml
import numpy as np
import pytest

from fpgaml.backend import csim
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding

AP_TYPES = Path(hls4ml.__file__).parent / "templates/vivado/ap_types"
SOURCE_FRACTION = 8  # casts start from ap_fixed<30,22>

PROGRAM = """
#include <cstdio>
#include <cstdint>
#include "ap_fixed.h"
template <class T> void all(const int32_t *codes, long n) {
    for (long i = 0; i < n; i++) {
        ap_fixed<30, 22> x;
        x.range(29, 0) = ap_int<30>(codes[i]);
        T y = x;
        int64_t code = y.V.to_int64();  // the stored bits
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
def folder(request):
    """Where compiled programs are kept from one test run to the next."""
    return Path(request.config.cache.mkdir("ap_fixed"))


@pytest.fixture(scope="module")
def compiled(folder):
    """What ap_fixed makes of some thousand codes in every type: (types, codes)."""
    rng = np.random.default_rng(1)
    codes = np.concatenate(
        [np.arange(-300, 300), rng.integers(-(1 << 14), 1 << 14, 800), rng.integers(-(1 << 29), 1 << 29, 200)]
    )
    types = sorted(kinds(), key=lambda kind: kind.rounding)
    parts = {mode: [kind for kind in types if kind.rounding is mode] for mode in sorted(Rounding)}

    with ThreadPoolExecutor(2) as pool:  # one program a rounding mode: g++ takes a gigabyte for all in one
        done = np.concatenate(list(pool.map(lambda mode: casts(folder, parts[mode], codes), parts)))
    return types, codes, done


def casts(folder, types, codes, headers=AP_TYPES, level="-O0"):
    """What ap_fixed makes of `codes` in each of `types`: (types, codes)."""
    calls = "\n".join(f"    all<{kind.cpp}>(codes, n);" for kind in types)
    program = compile_once(folder, PROGRAM.replace("@CALLS@", calls), headers, level)
    given = codes.astype(np.int32).tobytes()
    out = subprocess.run([program], input=given, capture_output=True, check=True).stdout
    return np.frombuffer(out, np.int64).reshape(len(types), len(codes))


def compile_once(folder, source, headers, level):
    """Return the program of this source, headers, level and compiler; compile it if it is not in `folder` yet."""
    version = subprocess.run(["g++", "--version"], capture_output=True, check=True).stdout
    texts = [path.read_bytes() for path in sorted(headers.rglob("*.h"))]
    digest = hashlib.sha256(b"\0".join([source.encode(), level.encode(), version, *texts])).hexdigest()
    program = folder / digest
    if not program.exists():
        with tempfile.TemporaryDirectory(dir=folder) as name:
            made = Path(name) / "casts"
            made.with_suffix(".cpp").write_text(source)
            command = ["g++", level, "-w", "-std=gnu++17", f"-I{headers}", made.with_suffix(".cpp"), "-o", made]
            subprocess.run(command, check=True, timeout=900)
            made.rename(program)  # at once and whole, whoever else makes the same
    return program


def test_cast_equals_ap_fixed(compiled):
    types, codes, expected = compiled
    for kind, theirs in zip(types, expected, strict=True):
        np.testing.assert_array_equal(kind.cast(codes, SOURCE_FRACTION), theirs, err_msg=str(kind))


def test_cast_equals_the_leaner_types_of_csim_when_optimized(compiled, folder, tmp_path):
    """In the modes that generated C++ has; all 1,386 types were compared once, see docs/decisions.md."""
    types, codes, _ = compiled
    modes = (Rounding.RND_CONV, Rounding.TRN)
    chosen = [kind for kind in types if kind.rounding in modes and kind.overflow is not Overflow.SAT_ZERO][::3]
    found = casts(folder, chosen, codes, csim.lean_types(AP_TYPES, tmp_path / "types"), "-O2")
    for kind, theirs in zip(chosen, found, strict=True):
        np.testing.assert_array_equal(kind.cast(codes, SOURCE_FRACTION), theirs, err_msg=str(kind))


def test_encode_equals_ap_fixed(compiled):
    types, codes, expected = compiled
    values = codes * 2.0**-SOURCE_FRACTION
    for kind, theirs in zip(types, expected, strict=True):
        np.testing.assert_array_equal(kind.encode(values), theirs, err_msg=str(kind))
