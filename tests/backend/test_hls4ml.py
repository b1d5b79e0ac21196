"""From a Network to C++ and back: what hls4ml wrote is the network, and g++ computes what the emulator says."""

import shutil

import numpy as np
import pytest

from fpgaml.backend import csim, hls4ml
from fpgaml.backend.readback import check_project
from fpgaml.errors import ConfigError, ConversionMismatch, FormatError, ToolFailed, ToolNotFound, UnsupportedLayer
from fpgaml.exact import emulate
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import (
    Activation,
    Affine,
    AveragePool,
    Concatenate,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    Function,
    Input,
    Multiply,
    Network,
    Pad,
    PRelu,
    Reshape,
    Upsample,
)
from fpgaml.target.design import Design, IoType, LayerDesign, Strategy
from fpgaml.target.output_head import Head, with_head
from fpgaml.target.toolchain import Backend
from tests.networks import RELU, VALID, cnn, codes_for, mlp, weights

PART = "xc7z020clg400-1"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The small MLP as an HLS project, to look at but not to change."""
    folder = tmp_path_factory.mktemp("convert") / "hls"
    hls4ml.convert(mlp(), Design(Backend.VITIS, PART), folder, log=folder.with_name("convert.log"))
    return folder


@pytest.fixture
def spoiled(project, tmp_path):
    """A copy of it to spoil."""
    return shutil.copytree(project, tmp_path / "hls")


def gated():
    """A network that multiplies two of its own tensors."""
    half = FixedPoint(5, 2, True)
    return Network(
        "gated", (*mlp().layers, Activation("a", ("fc1",), Function.LINEAR, half), Multiply("m", ("a", "fc1")))
    )


def other_kinds():
    """A network of the kinds of layer that the others have not."""
    rng, cast = np.random.default_rng(1), FixedPoint(6, 3, True, Rounding.RND_CONV, Overflow.SAT)
    coarse = FixedPoint(6, 6, True, Rounding.RND_CONV, Overflow.SAT)
    layers = (
        Input("x", (), (4, 3, 2), FixedPoint(6, 1)),
        Pad("pad", ("x",), ((1, 0), (0, 1))),
        DepthwiseConv("depth", ("pad",), weights(rng, 2, 3, 2), weights(rng, 2), (1, 1), VALID),
        Activation("act", ("depth",), Function.LINEAR, cast),
        Affine("norm", ("act",), weights(rng, 2), weights(rng, 2)),
        Activation("leaky", ("norm",), Function.RELU, coarse, 2.0**-10),  # drops more bits than slope and input have
        Concatenate("both", ("act", "leaky")),
        AveragePool("mean", ("both",), (2, 2), (2, 2), VALID, cast),
        Reshape("turn", ("mean",), (1, 2, 4)),
        Upsample("up", ("turn",), (2, 3)),
        PRelu("slopes", ("up",), weights(rng, 1, 6, 4)),
        Dense("out", ("slopes",), weights(rng, 4, 3), weights(rng, 3)),
    )
    return Network("kinds", layers)


NETWORKS = {
    "mlp": mlp(),
    "other kinds": other_kinds(),
    "cnn": cnn(),
    "gated": gated(),
    "argmax": with_head(mlp(), Head.ARGMAX),
    "softmax": with_head(mlp(), Head.SOFTMAX),
}


@pytest.mark.parametrize("made", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("io_type", IoType)
@pytest.mark.parametrize(
    ("backend", "strategy"), [(Backend.VITIS, Strategy.LATENCY), (Backend.VIVADO, Strategy.RESOURCE)]
)
def test_csim_equals_the_emulator_in_every_layer(made, io_type, backend, strategy, tmp_path):
    latency = tuple(LayerDesign(one.name, strategy=Strategy.LATENCY) for one in made if isinstance(one, DepthwiseConv))
    design = Design(backend, PART, io_type=io_type, strategy=strategy, per_layer=latency)  # depthwise has no other
    hls4ml.convert(made, design, tmp_path / "hls", log=tmp_path / "log")
    program = csim.build(made, tmp_path / "hls", log=tmp_path / "g++.log")
    codes = codes_for(made, 60)
    logits, layers = csim.simulate(program, codes, trace=True)
    expected = emulate.trace(made, codes)
    np.testing.assert_array_equal(logits, expected[made.output.name])
    moved = [layer for layer in made if isinstance(layer, Input | Flatten | Reshape)]
    assert len(layers) >= len(made.layers) - len(moved)  # a flatten may only rename
    for name, found in layers.items():
        np.testing.assert_array_equal(found, expected[name], err_msg=name)


def test_equal_networks_give_equal_projects(project, tmp_path):
    hls4ml.convert(mlp(), Design(Backend.VITIS, PART), tmp_path / "hls", log=tmp_path / "log")
    ours = {p.relative_to(project): p.read_bytes() for p in project.rglob("*") if p.is_file()}
    theirs = {p.relative_to(tmp_path / "hls"): p.read_bytes() for p in (tmp_path / "hls").rglob("*") if p.is_file()}
    differing = [str(name) for name in ours if ours[name] != theirs.get(name)]
    assert ours.keys() == theirs.keys()
    assert differing == ["hls4ml_config.yml"] or not differing  # it names its own folder


def test_a_changed_weight_is_found(spoiled):
    path = spoiled / "firmware/weights/w2.txt"
    first, rest = path.read_text().split(",", 1)
    path.write_text(f"{float(first) + 2**-5:.5f},{rest}")
    message = r"^layer 'fc0': 1 of 160 kernel values differ in the C\+\+; the first, at position 0, has code"
    with pytest.raises(ConversionMismatch, match=message):
        check_project(mlp(), Design(Backend.VITIS, PART), spoiled)


def test_a_changed_type_is_found(spoiled):
    path = spoiled / "firmware/defines.h"
    path.write_text(path.read_text().replace("AP_RND_CONV,AP_SAT", "AP_TRN,AP_WRAP"))
    with pytest.raises(ConversionMismatch) as caught:
        check_project(mlp(), Design(Backend.VITIS, PART), spoiled)
    assert str(caught.value) == (
        "layer 'relu0': the C++ has ufixed<6,2> as result type, the network ufixed<6,2,RND_CONV,SAT>"
    )


def test_a_missing_layer_is_found(spoiled):
    path = spoiled / "firmware/mlp.cpp"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "// relu0" not in line))
    with pytest.raises(ConversionMismatch, match=r"^layer 'relu0' is missing from the C\+\+ in "):
        check_project(mlp(), Design(Backend.VITIS, PART), spoiled)


def test_one_wrong_weight_bit_changes_the_simulation(spoiled, tmp_path):
    made, codes = mlp(), codes_for(mlp(), 50)
    path = spoiled / "firmware/weights/w4.txt"
    values = path.read_text().split(",")
    values[0] = f"{float(values[0]) + 2**-5:.5f}"
    path.write_text(",".join(values))
    program = csim.build(made, spoiled, log=tmp_path / "log")
    found, _ = csim.simulate(program, codes)
    assert (found != emulate.run(made, codes)).any()


def test_an_impossible_reuse_factor_names_the_nearest(tmp_path):
    design = Design(Backend.VITIS, PART, strategy=Strategy.RESOURCE, reuse_factor=3)
    with pytest.raises(ConfigError) as caught:
        hls4ml.convert(mlp(), design, tmp_path / "hls", log=tmp_path / "log")
    assert str(caught.value) == (
        "layer 'fc0': reuse factor 3 is not valid for its 20 x 8 matrix in the resource strategy; "
        "the nearest valid one is 2"
    )
    assert not (tmp_path / "hls").exists()


def test_a_streamed_convolution_that_skips_pixels_is_refused(tmp_path):
    """Found by tests/hunt.py: with a window of (1, 3) and strides of (2, 2) hls4ml's C++ gives wrong sums."""
    rng = np.random.default_rng(0)
    image = Input("x", (), (5, 5, 1), FixedPoint(6, 3))
    conv = Conv("c", ("x",), weights(rng, 1, 3, 1, 2), weights(rng, 2), (2, 2), VALID)
    made, design = Network("n", (image, conv)), Design(Backend.VITIS, PART, io_type=IoType.STREAM)
    with pytest.raises(ConfigError) as caught:
        hls4ml.convert(made, design, tmp_path / "hls", log=tmp_path / "log")
    assert str(caught.value) == (
        "layer 'c': a convolution with io_stream must have no strides (2, 2) above its window (1, 3): hls4ml's C++ "
        "gives wrong sums then; use io_parallel"
    )


def test_a_streamed_flatten_is_for_a_dense_layer_only(tmp_path):
    """Found by tests/hunt.py: hls4ml does not repack a flattened stream, and all but Dense read it wrong."""
    image = Input("x", (), (3, 2), FixedPoint(6, 3))
    made = Network("n", (image, Flatten("f", ("x",)), Activation("a", ("f",), Function.RELU, RELU)))
    with pytest.raises(ConfigError) as caught:
        hls4ml.convert(made, Design(Backend.VITIS, PART, io_type=IoType.STREAM), tmp_path / "hls", log=tmp_path / "log")
    assert str(caught.value) == (
        "layer 'f': with io_stream only a Dense may read a Flatten, not 'a': hls4ml's C++ takes the values in the "
        "wrong packing then; put that layer before the Flatten, or use io_parallel"
    )


def test_results_come_in_order_for_any_number_of_workers(project, tmp_path, monkeypatch):
    made, codes = mlp(), codes_for(mlp(), 37)
    program = csim.build(made, project, log=tmp_path / "log")
    told = []
    for workers in (1, 2, 5, 40):
        monkeypatch.setattr(csim, "cores", lambda workers=workers: workers)
        found, _ = csim.simulate(program, codes, progress=told.append)
        np.testing.assert_array_equal(found, emulate.run(made, codes))
        assert told[-1] == 37


def test_an_unchanged_project_is_not_compiled_again(project, tmp_path):
    first = csim.build(mlp(), project, log=tmp_path / "log")
    before = first.path.stat().st_mtime_ns
    assert csim.build(mlp(), project, log=tmp_path / "log2").path.stat().st_mtime_ns == before
    assert (tmp_path / "log2").read_text().startswith("compiled before: ")


def test_a_damaged_build_is_noticed_and_made_again(project, tmp_path, monkeypatch):
    monkeypatch.setenv("FPGAML_CACHE", str(tmp_path / "cache"))
    program = csim.build(mlp(), project, log=tmp_path / "log")
    program.path.write_bytes(b"damaged")
    codes = codes_for(mlp(), 5)
    found, _ = csim.simulate(csim.build(mlp(), project, log=tmp_path / "log"), codes)
    np.testing.assert_array_equal(found, emulate.run(mlp(), codes))


def test_a_dead_worker_is_named_with_its_image(project, tmp_path, monkeypatch):
    program = csim.build(mlp(), project, log=tmp_path / "log")
    killer = tmp_path / "csim"
    killer.write_text(f'#!/bin/sh\n[ "$2" = 0 ] || kill -9 $$\nexec {program.path} "$@"\n')
    killer.chmod(0o755)
    monkeypatch.setattr(csim, "cores", lambda: 2)
    broken = csim.Program(killer, program.firmware, program.network, program.traced, program.in_code)
    with pytest.raises(
        ToolFailed, match=r"^C simulation of 'mlp' died: images 10 to 19 stopped at 10 \(exit code -9\)$"
    ):
        csim.simulate(broken, codes_for(mlp(), 20))


def test_no_compiler(project, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolNotFound, match=r"^g\+\+ was not found on PATH; it is needed for C simulation"):
        csim.build(mlp(), project, log=tmp_path / "log")


def test_a_compiler_error_shows_the_end_of_its_log(spoiled, tmp_path, monkeypatch):
    monkeypatch.setenv("FPGAML_CACHE", str(tmp_path / "cache"))
    path = spoiled / "firmware/mlp.cpp"
    path.write_text(path.read_text() + "\nthis is no C++\n")
    with pytest.raises(ToolFailed, match=r"(?s)^g\+\+ .*failed with exit code 1; log: .*this is no C\+\+"):
        csim.build(mlp(), spoiled, log=tmp_path / "log")
    assert not list((tmp_path / "cache" / "csim").iterdir())


def test_a_foreign_folder_is_no_project(tmp_path):
    with pytest.raises(FormatError, match=r"is not the HLS project of network 'mlp': it has no firmware/mlp\.cpp$"):
        csim.build(mlp(), tmp_path, log=tmp_path / "log")


def test_a_network_that_computes_nothing_is_refused(tmp_path):
    made = Network("n", (Input("x", (), (5, 4), FixedPoint(3, 1)), Flatten("f", ("x",))))
    with pytest.raises(UnsupportedLayer) as caught:
        hls4ml.convert(made, Design(Backend.VITIS, PART), tmp_path / "hls", log=tmp_path / "log")
    assert str(caught.value) == "network 'n' only renames its input: hls4ml writes no C++ for that"


def test_distributed_arithmetic_without_its_solver(tmp_path, monkeypatch):
    monkeypatch.setattr(hls4ml, "find_spec", lambda name: None)
    design = Design(Backend.VITIS, PART, strategy=Strategy.DISTRIBUTED_ARITHMETIC)
    with pytest.raises(ToolNotFound) as caught:
        hls4ml.convert(mlp(), design, tmp_path / "hls", log=tmp_path / "log")
    assert str(caught.value) == (
        "layer 'fc0': distributed_arithmetic needs the Python package da4ml; install it: pip install 'hls4ml[da]'"
    )
