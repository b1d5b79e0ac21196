"""The fixed-point types that optimized C simulations use: the project's own, but for one word."""

import difflib
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from fpgaml.backend import csim, hls4ml
from fpgaml.target.design import Design
from fpgaml.target.toolchain import Backend
from tests.networks import codes_for, mlp

PART = "xc7z020clg400-1"

TYPES = Path(importlib.util.find_spec("hls4ml").origin).parent / "templates/vivado/ap_types"


def test_only_a_plain_twin_of_the_volatile_mask_is_added(tmp_path):
    lean = csim.lean_types(TYPES, tmp_path / "types")
    for path in sorted(p for p in TYPES.rglob("*.h")):
        old = path.read_text(encoding="utf-8").splitlines()
        new = (lean / path.relative_to(TYPES)).read_text(encoding="utf-8").splitlines()
        if path.name != "ap_private.h":
            assert old == new
            continue
        changed = [line for line in difflib.ndiff(old, new) if line[0] in "+-"]
        assert not [line for line in changed if line[0] == "-"]
        assert not [line for line in changed if "volatile" in line.partition("//")[0] and "clearUnused" not in line]
        assert new.count("  INLINE void clearUnusedBits(void)") == 2
        assert old.count("  INLINE void clearUnusedBits(void) volatile") == 2


def test_stock_and_lean_types_give_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setenv("FPGAML_CACHE", str(tmp_path / "cache"))
    network, project = mlp(), tmp_path / "hls"
    hls4ml.convert(network, Design(Backend.VITIS, PART), project, log=tmp_path / "log")
    codes = codes_for(network, 200)
    programs = [csim.build(network, project, log=tmp_path / "g++.log", images=count) for count in (1, 1000)]
    assert programs[0].path != programs[1].path
    stock, lean = (csim.simulate(program, codes)[0] for program in programs)
    np.testing.assert_array_equal(stock, lean)


@pytest.mark.parametrize(
    ("code", "levels"),
    [
        ("nnet::dense<input_t>(conv_1);", ["-O0", "-O1", "-O1", "-O2", "-O2"]),
        ("hls::stream<input_t> x; nnet::depthwise_conv_2d_cl<input_t>(x);", ["-O0", "-O1", "-O2", "-O2", "-O2"]),
        ("nnet::conv_2d_cl<input_t>(x);", ["-O0", "-O1", "-O1", "-O1", "-O2"]),
    ],
    ids=["dense", "io_stream convolution", "io_parallel convolution"],
)
def test_more_images_a_core_repay_a_longer_compilation(code, levels, tmp_path, monkeypatch):
    monkeypatch.setattr(csim, "cores", lambda: 2)
    (tmp_path / "firmware").mkdir()
    (tmp_path / "firmware" / "net.cpp").write_text(code, encoding="utf-8")
    assert [csim.optimization(tmp_path, count) for count in (40, 1000, 10_000, 40_000, 100_000)] == levels
