"""The network in the page: its code, in a real browser, gives the codes of the emulator."""

import base64

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from fpgaml.datasets.dataset import load
from fpgaml.errors import ConfigError
from fpgaml.exact import emulate
from fpgaml.ir.accumulate import intervals
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import Activation, AveragePool, Dense, Function, Input, Network, PRelu, Upsample, Weights
from fpgaml.ir.saving import load as load_network
from fpgaml.report.page.network import codes_record, network_record
from tests.networks import cnn, codes_for, mlp
from tests.pages import ROOT, TRACE, any_codes, differing, opened
from tests.random_networks import chains
from tests.report.browser import launched


@pytest.fixture(scope="module")
def page():
    for browser in launched():
        yield opened(browser)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=chains(), seed=st.integers(0, 9))
def test_random_networks(made, seed, page):
    assert differing(page, made, any_codes(made, 4, seed))[0] == 0


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=chains(widest=24), seed=st.integers(0, 9))
def test_random_networks_of_many_bits_are_computed_with_big_integers(made, seed, page):
    try:
        intervals(made)
    except ConfigError:
        reject()  # more bits than any type has
    assert differing(page, made, any_codes(made, 3, seed))[0] == 0


@pytest.mark.parametrize("make", [mlp, cnn])
def test_small_networks(make, page):
    made = make()
    count, total = differing(page, made, codes_for(made, 20))
    assert count == 0
    assert total > 20 * 30


@pytest.mark.parametrize("name", ["mnist_mlp", "mnist_mlp_small", "mnist_cnn"])
def test_trained_networks(name, page):
    made = load_network(ROOT / "models" / "trained" / name / "network.npz")
    images = np.concatenate([load("mnist").x_test[:6], any_codes(made, 3, 0)])
    assert differing(page, made, images)[0] == 0


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("width", [16, 60])
def test_every_mode_of_a_cast(rounding, overflow, width, page):
    """From 16 bits with Numbers, from 60 with BigInts: ties, both signs, far outside."""
    kind = FixedPoint(6, 3, True, rounding, overflow)
    made = Network(
        "cast",
        (
            Input("x", (), (80,), FixedPoint(width, width - 6)),
            Activation("y", ("x",), Function.LINEAR, kind),
        ),
    )  # fmt: skip
    near = np.arange(-40, 40)[None]
    far = np.array([[made.input.type.low + n * ((1 << width) // 80) for n in range(80)]])
    assert differing(page, made, np.concatenate([near, far, near * 37 + 4]))[0] == 0


def test_what_networks_of_chance_lack(page):
    rng = np.random.default_rng(3)
    slopes = Weights(rng.integers(-8, 8, (4, 1, 3)), FixedPoint(4, 1))
    mean = FixedPoint(7, 2, True, Rounding.RND, Overflow.SAT)
    made = Network(
        "rest",
        (
            Input("x", (), (4, 5, 3), FixedPoint(5, 2)),
            PRelu("p", ("x",), slopes),
            Upsample("u", ("p",), (2, 3)),
            AveragePool("m", ("u",), (3, 2), (2, 2), ((1, 1), (0, 1)), mean),
            Activation("r", ("m",), Function.RELU, FixedPoint(6, 3, True, Rounding.RND_CONV, Overflow.SAT), -0.25),
        ),
    )  # fmt: skip
    assert differing(page, made, any_codes(made, 6, 0))[0] == 0


def test_a_wrong_weight_is_seen(page):
    """The comparison can fail."""
    kernel = Weights(np.array([[1, 2], [3, 4]]), FixedPoint(4, 4))
    bias = Weights(np.array([0, 1]), FixedPoint(4, 4))
    made = Network("net", (Input("x", (), (2,), FixedPoint(4, 4)), Dense("y", ("x",), kernel, bias)))
    wrong = Weights(np.array([[1, 2], [3, 5]]), kernel.type)
    record = network_record(Network("net", (made.input, Dense("y", ("x",), wrong, bias))))
    codes = np.array([[1, 1], [0, 1]])
    found = page.evaluate(TRACE, [record, codes_record(codes)])
    assert [image["y"] for image in found] == [["4", "8"], ["3", "6"]]
    assert emulate.run(made, codes).tolist() == [[4, 7], [3, 5]]


def test_codes_are_little_endian_integers_of_few_bytes():
    assert codes_record(np.array([[1, 255]])) == {"shape": [1, 2], "kind": "u1", "base64": "Af8="}
    assert codes_record(np.array([-1, 128])) == {"shape": [2], "kind": "i2", "base64": "//+AAA=="}
    assert base64.b64decode(codes_record(np.array([1 << 40]))["base64"]) == (1 << 40).to_bytes(8, "little")
