"""Real numbers for a model whose file states no input type: which type is proposed, and what rounding to it changes."""

import keras
import numpy as np
import pytest
import qkeras

from fpgaml.datasets.proof_images import load_images, types_for
from fpgaml.frontend import floats
from fpgaml.frontend.input_type import propose, rounding
from fpgaml.ir.fixed import PIXEL, FixedPoint, Overflow, Rounding

WEIGHTS = {
    "kernel_quantizer": qkeras.quantized_bits(6, 0, alpha=1),
    "bias_quantizer": qkeras.quantized_bits(6, 1, alpha=1),
}


@pytest.fixture(scope="module")
def model():
    made = keras.Sequential([keras.Input((6,)), qkeras.QDense(4, name="fc", **WEIGHTS)])
    rng = np.random.default_rng(0)
    made.set_weights([rng.normal(0, 0.5, array.shape) for array in made.get_weights()])
    return made


@pytest.fixture(scope="module")
def scaled(tmp_path_factory):
    """Standardized features, 300 samples."""
    path = tmp_path_factory.mktemp("data") / "scaled.npy"
    np.save(path, np.random.default_rng(1).normal(size=(300, 6)).astype(np.float32))
    return path


def classes(model, values, bits):
    kind = types_for(values)[bits - 8]
    cast = FixedPoint(kind.width, kind.integer, kind.signed, Rounding.RND_CONV, Overflow.SAT)
    return floats.answers(model, cast.decode(cast.encode(values)))


def test_the_fewest_bits_with_which_no_class_changes(model, scaled):
    values = np.load(scaled)
    found = propose(model, scaled)
    assert (found.signed, found.integer) == (True, 3)  # up to 3.4
    right = floats.answers(model, values)
    assert (classes(model, values, found.width) == right).all()
    for bits in range(8, found.width):
        assert (classes(model, values, bits) != right).any()


def test_what_rounding_changes_is_said(model, scaled):
    values = np.load(scaled)
    for kind in (FixedPoint(6, 3), FixedPoint(16, 6)):
        images = load_images(scaled, (6,), kind, 300, stated=True)
        on_grid = kind.decode(images.codes)
        changed = int((floats.answers(model, on_grid) != floats.answers(model, values)).sum())
        assert (kind.width == 6) == (changed > 0)
        off = np.abs(on_grid - values)
        assert rounding(model, images, kind) == (
            f"{(off > 0).sum():,} of 1,800 input values are rounded to {kind}, by at most {off.max():.2g}; the "
            f"class of {changed} of 300 samples changes"
        )


def test_data_on_a_grid_have_their_own_type(model, tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.array([[-1.5, 0.25, 2, 0, 1, 3]] * 4))
    assert propose(model, path) == FixedPoint(5, 3)  # quarters from -6 to 12
    images = load_images(path, (6,), FixedPoint(5, 3), 4)
    assert rounding(model, images, FixedPoint(5, 3)) == ""


@pytest.mark.parametrize("values", [np.full((4, 6), 7, np.uint8), np.full((4, 6), 0.5), np.zeros((4, 5)) + 0.3])
def test_pixels_and_what_does_not_fit_have_no_proposal(model, values, tmp_path):
    np.save(tmp_path / "x.npy", values)
    assert propose(model, tmp_path / "x.npy") is None
    assert propose(model, None) is None


def test_the_largest_value_does_not_saturate():
    values = np.array([[0.9999, 0.3]])
    assert types_for(values)[0] == FixedPoint(8, 1, signed=False)  # 0.9999 rounds to 1
    assert types_for(np.array([[0.9, 0.3]]))[0] == FixedPoint(8, 0, signed=False)


def test_pixels_that_are_stated_are_rounded_to(model, tmp_path):
    np.save(tmp_path / "x.npy", np.full((5, 6), 1 / 3))
    images = load_images(tmp_path / "x.npy", (6,), PIXEL, 5, stated=True)
    assert (images.codes == 85).all()
    assert images.data == "x.npy; 30 of 30 values rounded to the grid of ufixed<8,0>"


def test_mnist_is_for_models_of_ten_classes():
    assert load_images(None, (28, 28, 1), PIXEL, 3, classes=10).data == "MNIST test images"
    found = load_images(None, (28, 28, 1), PIXEL, 3, classes=2)
    assert (found.data, found.labels) == ("random codes (seed 0)", None)
