"""A tiny convolutional network and its four HLS projects, converted once a test run and copied where changed."""

import shutil

import numpy as np
import pytest

from fpgaml.backend.hls4ml import convert
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import Activation, Conv, Dense, Flatten, Function, Input, MaxPool, Network, Weights
from fpgaml.project.testbench import write_testbench
from fpgaml.target.design import Design, IoType
from fpgaml.target.toolchain import Backend

IMAGES = 6
PROJECTS = [(b, i) for b in Backend for i in IoType]


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Compiled programs are shared within one test run, never with the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FPGAML_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def tiny():
    """5 x 3 x 1 images (15 codes: no whole number of beats), signed logits of more than 8 bits.

    Both filters have a bias of almost 1, so that no weight behind them is idle.
    """
    rng = np.random.default_rng(0)
    relu = FixedPoint(6, 2, False, Rounding.RND_CONV, Overflow.SAT)

    def weights(*shape):
        return Weights(rng.integers(-31, 32, shape), FixedPoint(6, 1))

    return Network(
        "tiny",
        (
            Input("x", (), (5, 3, 1), FixedPoint(8, 0, False)),
            Conv("c1", ("x",), weights(2, 2, 1, 2), Weights([31, 31], FixedPoint(6, 1)), (1, 1), ((0, 0), (0, 0))),
            Activation("r1", ("c1",), Function.RELU, relu),
            MaxPool("p1", ("r1",), (2, 2), (2, 2), ((0, 0), (0, 0))),
            Flatten("fl", ("p1",)),
            Dense("d1", ("fl",), weights(4, 3), weights(3)),
        ),
    )


@pytest.fixture(scope="session")
def tiny_codes():
    """Input codes (images, 5, 3, 1); the first image is all zeros, the second all at the largest code."""
    codes = np.random.default_rng(1).integers(0, 256, (IMAGES, 5, 3, 1))
    codes[0], codes[1] = 0, 255
    return codes


@pytest.fixture(scope="session")
def converted(tiny, tiny_codes, tmp_path_factory):
    """Return a function (backend, io type) -> project folder that nobody may change."""
    folder = tmp_path_factory.mktemp("projects")
    made = {}

    def project(backend=Backend.VITIS, io_type=IoType.STREAM):
        if (backend, io_type) not in made:
            place = folder / f"{backend}_{io_type}"
            design = Design(backend, "xc7z020clg400-1", clock_ns=10.0, io_type=io_type)
            convert(tiny, design, place, log=folder / "convert.log")
            write_testbench(tiny, place, tiny_codes)
            made[backend, io_type] = place
        return made[backend, io_type]

    return project


@pytest.fixture
def project(converted, tmp_path):
    """Return a fresh copy of the Vitis io_stream project."""
    shutil.copytree(converted(), tmp_path / "project")
    return tmp_path / "project"
