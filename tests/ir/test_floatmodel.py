import numpy as np
import pytest

from fpgaml.errors import ConfigError, DataError
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.floatmodel import (
    FloatLayer,
    FloatModel,
    activation_bits,
    build,
    from_network,
    network_sizes,
    quantized_weights,
    types_of,
    weight_bits,
)
from fpgaml.ir.network import Input, Table
from tests import networks


@pytest.mark.parametrize("make", [networks.mlp, networks.cnn])
def test_a_network_comes_back_bit_for_bit(make):
    network = make()
    assert build(from_network(network), types_of(network)) == network


def test_tensors_have_names():
    model = from_network(networks.mlp())
    assert model.tensors == ("fc0.kernel", "fc0.bias", "fc1.kernel", "fc1.bias", "x", "relu0")
    assert model.activations == ("x", "relu0")


def test_weights_are_rounded_to_nearest_and_keep_a_plain_type():
    found = quantized_weights(
        np.array([0.375, 0.625, 5.0, -5.0]), FixedPoint(4, 2, True, Rounding.RND_CONV, Overflow.SAT)
    )
    assert found.codes.tolist() == [2, 2, 7, -8]
    assert found.type == FixedPoint(4, 2)


def test_bits_are_counted_by_tensor():
    network = networks.mlp(sizes=(20, 8, 5))
    sizes, types = network_sizes(network), types_of(network)
    assert weight_bits(sizes, types) == 6 * (20 * 8 + 8 + 8 * 5 + 5)
    assert activation_bits(sizes, types) == 20 * 8 + 8 * 6


def test_a_tensor_without_a_type_is_refused():
    network = networks.mlp()
    types = types_of(network)
    del types["relu0"]
    with pytest.raises(ConfigError) as error:
        build(from_network(network), types)
    assert str(error.value) == "tensor 'relu0' of 'mlp' has no type"


def test_a_type_without_a_tensor_is_refused():
    network = networks.mlp()
    with pytest.raises(ConfigError) as error:
        build(from_network(network), types_of(network) | {"relu1": FixedPoint(8, 2)})
    assert str(error.value) == "'mlp' has no tensor 'relu1'; did you mean 'relu0'?"


def test_weights_that_are_no_numbers_are_refused():
    layer = FloatLayer(Input, "x", (), {"dims": (1,)}, {"kernel": np.array([np.nan, 1.0])})
    with pytest.raises(DataError) as error:
        FloatModel("m", (layer,))
    assert str(error.value) == "weights 'x.kernel' must be finite; 1 of 2 are NaN or infinite"


def test_tables_are_taken_as_they_are():
    rng = np.random.default_rng(0)
    network = networks.mlp()
    table = Table("t", (network.output.name,), FixedPoint(3, 3), networks.weights(rng, 8))
    longer = type(network)("n", (*network.layers, table))
    assert "t.table" not in types_of(longer)
    assert build(from_network(longer), types_of(longer)) == longer
