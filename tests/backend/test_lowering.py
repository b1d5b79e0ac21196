"""What hls4ml is given of each kind of layer, literally: its entry in the layer list, its types, its weights."""

from pathlib import Path

import numpy as np
import pytest

from fpgaml.backend.lowering import entry_of, lower, mean_type, slope_type
from fpgaml.errors import ConfigError, UnsupportedLayer
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import (
    Activation,
    Add,
    Affine,
    ArgMax,
    AveragePool,
    Concatenate,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    Function,
    Input,
    Layer,
    MaxPool,
    Multiply,
    Network,
    Pad,
    PRelu,
    Reshape,
    Table,
    Upsample,
    Weights,
)
from fpgaml.target.design import Backend, Design, IoType, LayerDesign, Strategy

PARALLEL = Design(Backend.VITIS, "xc7z020clg400-1", clock_ns=4.0)
STREAM = Design(Backend.VITIS, "xc7z020clg400-1", io_type=IoType.STREAM)
SIGNED, BYTE = FixedPoint(4, 2), FixedPoint(8, 0, False)
ROUNDED = FixedPoint(5, 3, True, Rounding.RND_CONV, Overflow.SAT)
NO_QUANTIZERS = {"weight_quantizer": None, "bias_quantizer": None}
LINEAR = {"class_name": "Activation", "activation": "linear"}


def counting(*shape, width=8, integer=3):
    """Weights 0, 1, 2, ... in units of the last place."""
    return Weights(np.arange(np.prod(shape)).reshape(shape), FixedPoint(width, integer))


def lowered(layer, shape, kind=SIGNED, design=PARALLEL, before=()):
    made = Network("n", (Input("x", (), shape, kind), *before, layer))
    request, arrays = lower(made, design, Path("folder"))
    return request, arrays


def entry(layer, shape, **options):
    """The last entry of the layer list, without its name and what it reads and writes, and without its weights."""
    *_, last = lowered(layer, shape, **options)[0]["layers"]
    assert (last.pop("name"), last.pop("outputs")) == ("l", ["l"])
    assert last.pop("inputs") == list(layer.sources)
    return {key: value for key, value in last.items() if not key.endswith("_data")}


MAP = (4, 5, 2)
PADDING = ((1, 0), (2, 3))
CONV2D = {
    "data_format": "channels_last", "n_chan": 2, "n_filt": 3, "in_height": 4, "in_width": 5, "out_height": 4,
    "out_width": 4, "filt_height": 2, "filt_width": 3, "stride_height": 1, "stride_width": 2, "pad_top": 1,
    "pad_bottom": 0, "pad_left": 2, "pad_right": 3, **NO_QUANTIZERS,
}  # fmt: skip
CONV1D = {
    "data_format": "channels_last", "n_chan": 2, "n_filt": 3, "in_width": 7, "out_width": 4, "filt_width": 3,
    "stride_width": 2, "pad_left": 2, "pad_right": 0, **NO_QUANTIZERS,
}  # fmt: skip
POOL2D = {
    "data_format": "channels_last", "n_filt": 2, "in_height": 4, "in_width": 5, "out_height": 3, "out_width": 2,
    "pool_height": 2, "pool_width": 3, "stride_height": 1, "stride_width": 2, "pad_top": 0, "pad_bottom": 0,
    "pad_left": 0, "pad_right": 0,
}  # fmt: skip
NONE = ((0, 0), (0, 0))
LAYERS = {
    "dense": (
        Dense("l", ("x",), counting(4, 3), counting(3)), (4,),
        {"class_name": "Dense", "n_in": 4, "n_out": 3, **NO_QUANTIZERS},
    ),
    "dense over a sequence": (
        Dense("l", ("x",), counting(2, 3), counting(3)), (7, 2),
        {"class_name": "Conv1D", **CONV1D, "out_width": 7, "filt_width": 1, "stride_width": 1, "pad_left": 0},
    ),
    "dense over a map": (
        Dense("l", ("x",), counting(2, 3), counting(3)), MAP,
        {"class_name": "Conv2D", **CONV2D, "out_width": 5, "filt_height": 1, "filt_width": 1, "stride_width": 1,
         "pad_top": 0, "pad_left": 0, "pad_right": 0},
    ),
    "conv 2d": (
        Conv("l", ("x",), counting(2, 3, 2, 3), counting(3), (1, 2), PADDING), MAP, {"class_name": "Conv2D", **CONV2D},
    ),
    "conv 1d": (
        Conv("l", ("x",), counting(3, 2, 3), counting(3), (2,), ((2, 0),)), (7, 2), {"class_name": "Conv1D", **CONV1D},
    ),
    "depthwise 2d": (
        DepthwiseConv("l", ("x",), counting(2, 3, 2), counting(2), (1, 2), PADDING), MAP,
        {"class_name": "DepthwiseConv2D", "depth_multiplier": 1, "depthwise_quantizer": None, **CONV2D, "n_filt": 2},
    ),
    "depthwise 1d": (
        DepthwiseConv("l", ("x",), counting(3, 2), counting(2), (2,), ((2, 0),)), (7, 2),
        {"class_name": "DepthwiseConv1D", "depth_multiplier": 1, "depthwise_quantizer": None, **CONV1D, "n_filt": 2},
    ),
    "max pool 2d": (
        MaxPool("l", ("x",), (2, 3), (1, 2), NONE), MAP, {"class_name": "MaxPooling2D", **POOL2D},
    ),
    "max pool over padding": (
        MaxPool("l", ("x",), (2, 3), (1, 2), PADDING), MAP,
        {"class_name": "MaxPooling2D", **POOL2D, "out_height": 4, "out_width": 4, "pad_top": 1, "pad_left": 2,
         "pad_right": 3},
    ),
    "max pool 1d": (
        MaxPool("l", ("x",), (3,), (2,), ((0, 1),)), (7, 2),
        {"class_name": "MaxPooling1D", "data_format": "channels_last", "n_filt": 2, "n_in": 7, "n_out": 3,
         "pool_width": 3, "stride_width": 2, "pad_left": 0, "pad_right": 1},
    ),
    "average pool 2d": (
        AveragePool("l", ("x",), (2, 3), (1, 2), NONE, ROUNDED), MAP,
        {"class_name": "AveragePooling2D", **POOL2D, "count_pad": False},
    ),
    "average pool 1d": (
        AveragePool("l", ("x",), (3,), (2,), ((0, 0),), ROUNDED), (7, 2),
        {"class_name": "AveragePooling1D", "data_format": "channels_last", "n_filt": 2, "n_in": 7, "n_out": 3,
         "pool_width": 3, "stride_width": 2, "pad_left": 0, "pad_right": 0, "count_pad": False},
    ),
    "linear": (Activation("l", ("x",), Function.LINEAR, ROUNDED), MAP, {**LINEAR, "n_in": 40}),
    "relu": (
        Activation("l", ("x",), Function.RELU, ROUNDED), MAP,
        {"class_name": "Activation", "activation": "relu", "n_in": 40},
    ),
    "leaky relu": (
        Activation("l", ("x",), Function.RELU, ROUNDED, 0.25), MAP,
        {"class_name": "LeakyReLU", "activation": "leaky_relu", "activ_param": 0.25, "n_in": 40},
    ),
    "prelu": (
        PRelu("l", ("x",), counting(1, 1, 2)), MAP, {"class_name": "PReLU", "activation": "prelu", "n_in": 40},
    ),
    "argmax": (
        ArgMax("l", ("x",)), (4,),
        {"class_name": "Softmax", "activation": "softmax", "implementation": "argmax", "axis": -1, "n_in": 4},
    ),
    "affine": (
        Affine("l", ("x",), counting(4), counting(4)), (4,),
        {"class_name": "BatchNormalization", "n_in": 4, "n_filt": -1, "use_gamma": True, "use_beta": True},
    ),
    "affine over a map": (
        Affine("l", ("x",), counting(2), counting(2)), MAP,
        {"class_name": "BatchNormalization", "n_in": 40, "n_filt": 2, "use_gamma": True, "use_beta": True},
    ),
    "pad 2d": (
        Pad("l", ("x",), PADDING), MAP,
        {"class_name": "ZeroPadding2D", "data_format": "channels_last", "n_chan": 2, "in_height": 4, "in_width": 5,
         "out_height": 5, "out_width": 10, "pad_top": 1, "pad_bottom": 0, "pad_left": 2, "pad_right": 3},
    ),
    "pad 1d": (
        Pad("l", ("x",), ((2, 1),)), (7, 2),
        {"class_name": "ZeroPadding1D", "data_format": "channels_last", "n_chan": 2, "in_width": 7, "out_width": 10,
         "pad_left": 2, "pad_right": 1},
    ),
    "upsampling 2d": (
        Upsample("l", ("x",), (2, 3)), MAP,
        {"class_name": "UpSampling2D", "algorithm": "nearest", "data_format": "channels_last", "n_chan": 2,
         "in_height": 4, "in_width": 5, "out_height": 8, "out_width": 15},
    ),
    "upsampling 1d": (
        Upsample("l", ("x",), (3,)), (7, 2),
        {"class_name": "UpSampling1D", "algorithm": "nearest", "data_format": "channels_last", "n_chan": 2,
         "in_height": 1, "in_width": 7, "out_height": 1, "out_width": 21},
    ),
    "add": (Add("l", ("x", "x")), MAP, {"class_name": "Merge", "op": "add"}),
    "multiply": (Multiply("l", ("x", "x")), MAP, {"class_name": "Merge", "op": "multiply"}),
    "concatenate": (
        Concatenate("l", ("x", "x")), MAP, {"class_name": "Concatenate", "op": "concatenate3d", "axis": 3},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_the_entry_of_a_layer(name):
    layer, shape, expected = LAYERS[name]
    assert entry(layer, shape) == expected


@pytest.mark.parametrize("layer", [Flatten("f", ("x",)), Reshape("f", ("x",), (10, 4))])
def test_the_entry_of_a_reshape(layer):
    after = Dense("l", ("f",), counting(layer.shape(MAP)[-1], 3), counting(3))
    request, _ = lowered(after, MAP, before=(layer,))
    assert request["layers"][1] == {
        "name": "f", "inputs": ["x"], "outputs": ["f"], "class_name": "Reshape", "target_shape": list(layer.shape(MAP)),
    }  # fmt: skip


@pytest.mark.parametrize(("size", "factor"), [(1 << 14, 2), (1 << 16, 1), (7281, 3)])
def test_upsampling_is_refused_where_the_scale_of_the_cpp_is_too_coarse(size, factor):
    """The rule of ``nnet_image.h``, by hand: exact up to the limit, wrong beyond for factors that are powers of two."""
    at = np.arange(size * factor)
    ratio = (size << 16) // (size * factor) + 1
    np.testing.assert_array_equal(at * ratio >> 16, at // factor)
    entry_of(Upsample("l", ("x",), (factor,)), (size, 1), (size * factor, 1))
    more = size + 1
    with pytest.raises(UnsupportedLayer) as caught:
        entry_of(Upsample("l", ("x",), (factor,)), (more, 1), (more * factor, 1))
    assert str(caught.value) == (
        "layer 'l': hls4ml takes the wrong values where outputs times factor along an axis exceed 65536; "
        f"({more * factor},) outputs by ({factor},) do"
    )


def test_upsampling_is_refused_if_one_axis_of_two_is_too_long():
    with pytest.raises(UnsupportedLayer):
        entry_of(Upsample("l", ("x",), (1, 4)), (2, 8193, 1), (2, 4 * 8193, 1))


def test_what_is_repeated_keeps_its_very_type_and_what_is_renamed_does_not():
    cast = Activation("a", ("x",), Function.LINEAR, ROUNDED)
    request, _ = lowered(Upsample("l", ("a",), (2,)), (3, 1), before=(cast,))
    types = {name: one["Precision"]["result"] for name, one in request["config"]["LayerName"].items()}
    assert types["a"] == types["l"] == "ap_fixed<5,3,AP_RND_CONV,AP_SAT,0>"
    after = Dense("l", ("f",), counting(3, 2), counting(2))
    request, _ = lowered(after, (3, 1), before=(cast, Flatten("f", ("a",))))
    assert request["config"]["LayerName"]["f"]["Precision"]["result"] == "ap_fixed<5,3>"


def test_the_whole_request():
    design = Design(
        Backend.VIVADO, "part", clock_ns=4.0, io_type=IoType.STREAM, strategy=Strategy.RESOURCE, reuse_factor=2,
        per_layer=(LayerDesign("l", reuse_factor=4, strategy=Strategy.RESOURCE_UNROLLED),),
    )  # fmt: skip
    before = Dense("d", ("x",), counting(4, 2), counting(2)), Activation("a", ("d",), Function.RELU, ROUNDED)
    request, arrays = lowered(Dense("l", ("a",), counting(2, 3), counting(3)), (4,), BYTE, design, before)
    weight = "ap_fixed<8,3>"
    assert request == {
        "project": {
            "output_dir": "folder", "project_name": "n", "backend": "Vivado", "part": "part", "clock_period": 4.0,
            "io_type": "io_stream",
        },
        "config": {
            "Model": {"Precision": {"default": "ap_fixed<16,6>"}, "ReuseFactor": 1, "Strategy": "latency"},
            "LayerName": {
                "x": {
                    "Precision": {"result": "ap_ufixed<8,0>"}, "Strategy": "latency", "ReuseFactor": 1, "Trace": True,
                },
                "d": {
                    "Precision": {
                        "result": "ap_fixed<14,1>", "weight": weight, "bias": weight, "accum": "ap_fixed<14,1>",
                    },
                    "Strategy": "resource", "ReuseFactor": 2, "Trace": True,
                },
                "a": {
                    "Precision": {"result": "ap_fixed<5,3,AP_RND_CONV,AP_SAT,0>"}, "Strategy": "latency",
                    "ReuseFactor": 1, "Trace": True,
                },
                "l": {
                    "Precision": {
                        "result": "ap_fixed<6,-1>", "weight": weight, "bias": weight, "accum": "ap_fixed<6,-1>",
                    },
                    "Strategy": "resource_unrolled", "ReuseFactor": 4, "Trace": True,
                },
            },
        },
        "layers": [
            {"name": "x", "inputs": [], "outputs": ["x"], "class_name": "InputLayer", "input_shape": [4]},
            {
                "name": "d", "inputs": ["x"], "outputs": ["d"], "class_name": "Dense", "n_in": 4, "n_out": 2,
                **NO_QUANTIZERS, "weight_data": {"array": "d.kernel"}, "bias_data": {"array": "d.bias"},
            },
            {
                "name": "a", "inputs": ["d"], "outputs": ["a"], "class_name": "Activation", "activation": "relu",
                "n_in": 2,
            },
            {
                "name": "l", "inputs": ["a"], "outputs": ["l"], "class_name": "Dense", "n_in": 2, "n_out": 3,
                **NO_QUANTIZERS, "weight_data": {"array": "l.kernel"}, "bias_data": {"array": "l.bias"},
            },
        ],
        "inputs": ["x"],
        "outputs": ["l"],
    }  # fmt: skip
    assert list(arrays) == ["d.kernel", "d.bias", "l.kernel", "l.bias"]
    np.testing.assert_array_equal(arrays["l.kernel"], np.array([[0, 1, 2], [3, 4, 5]]) / 32)


def precision(layer, shape, **options):
    return lowered(layer, shape, **options)[0]["config"]["LayerName"]["l"]["Precision"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # -8..7 times at most 2 + 5 + 8 + 11, and a bias of 2 on a grid four times as coarse: -208..190
        ("dense", {"result": "ap_fixed<9,2>", "weight": "ap_fixed<8,3>", "bias": "ap_fixed<8,3>",
                   "accum": "ap_fixed<9,2>"}),
        ("max pool 2d", {"result": "ap_fixed<4,2>", "accum": "ap_fixed<4,2>"}),
        ("max pool 1d", {"result": "ap_fixed<4,2>", "accum": "ap_fixed<4,2>"}),
        # six codes of -8..7 on a grid of 2 + 4 + 1 bits: max(2, 2 + 1) + bits of 12 + 1 = 8 fraction bits
        ("average pool 2d", {"result": "ap_fixed<5,3,AP_RND_CONV,AP_SAT,0>", "accum": "ap_fixed<13,5>"}),
        # three: max(2, 3) + bits of 6 + 1 = 7
        ("average pool 1d", {"result": "ap_fixed<5,3,AP_RND_CONV,AP_SAT,0>", "accum": "ap_fixed<11,4>"}),
        ("linear", {"result": "ap_fixed<5,3,AP_RND_CONV,AP_SAT,0>"}),
        # -8..7 times 3, and 3 times 4: -24..33
        ("affine", {"result": "ap_fixed<7,0>", "scale": "ap_fixed<8,3>", "bias": "ap_fixed<8,3>"}),
        ("argmax", {"result": "ap_ufixed<1,1>"}),
        ("pad 2d", {"result": "ap_fixed<4,2>"}),
        ("multiply", {"result": "ap_fixed<8,4>"}),
        ("add", {"result": "ap_fixed<5,3>"}),
        ("concatenate", {"result": "ap_fixed<4,2>"}),
    ],
)  # fmt: skip
def test_the_types_of_a_layer(name, expected):
    layer, shape, _ = LAYERS[name]
    assert precision(layer, shape) == expected


@pytest.mark.parametrize("slope", [0.25, 0.5, 0.375])
def test_the_slope_of_a_leaky_relu_is_held_exactly(slope):
    kind = FixedPoint.parse(precision(Activation("l", ("x",), Function.RELU, ROUNDED, slope), (4,))["param"])
    assert kind.signed
    assert kind.decode(kind.encode([slope])).tolist() == [slope]


def test_a_mean_is_summed_in_a_type_that_drops_no_more_bits_than_it_has():
    """To a grid of 64ths from one of 1/4: 9 fraction bits more than the code's own; to one of 2**8: width 8 + 6 + 2."""
    fine = AveragePool("l", ("x",), (2,), (2,), ((0, 0),), FixedPoint(8, 2))
    assert precision(fine, (4, 1))["accum"] == "ap_fixed<14,3>"
    coarse = AveragePool("l", ("x",), (2,), (2,), ((0, 0),), FixedPoint(4, 12))
    assert precision(coarse, (4, 1))["accum"] == "ap_fixed<16,10>"


@pytest.mark.parametrize(
    ("window", "x", "expected"),
    [(3, FixedPoint(2, 2), "fixed<9,4>"), (4, FixedPoint(8, 4, signed=False), "fixed<16,7>")],  # by hand
)
def test_a_sum_of_a_mean_is_held_to_either_end(window, x, expected):
    """Three times -2 in 32nds is -192 and needs 9 bits, three times 1 but 8; 4 times 255 in 32nds of 16ths needs 16."""
    mean = AveragePool("m", ("x",), (window,), (window,), ((0, 0),), FixedPoint(6, 6 if window == 3 else 3))
    assert str(mean_type(mean, x)) == expected


@pytest.mark.parametrize(
    ("x", "kind", "expected"),
    [(FixedPoint(4, 2), FixedPoint(8, 4), "fixed<2,0>"), (FixedPoint(3, -5), FixedPoint(4, 3), "fixed<8,6>")],
)
def test_a_slope_is_as_wide_as_its_cast_must_drop_bits(x, kind, expected):
    """0.25 needs two bits; a product with 10 fraction bits, of 3 bits and the slope's, loses 9 of them and keeps 2."""
    assert str(slope_type(Activation("l", ("x",), Function.RELU, kind, 0.25), x)) == expected


def test_a_stream_takes_convolutions_with_windows_above_their_strides():
    layer = Conv("l", ("x",), counting(3, 3, 1, 2), counting(2), (1, 2), ((0, 0), (0, 0)))
    assert lowered(layer, (5, 6, 1), design=STREAM)[0]["layers"][-1]["class_name"] == "Conv2D"


def casts(layer, kind, shape=(4,), before=()):
    """The casts put before a layer: {name: type}, and what each entry reads."""
    request, _ = lowered(layer, shape, kind, before=before)
    entries = request["layers"][1 + len(before) :]
    config = request["config"]["LayerName"]
    for one in entries[:-1]:
        assert one == {"name": one["name"], "inputs": one["inputs"], "outputs": [one["name"]], **LINEAR, "n_in": 4}
        assert config[one["name"]].keys() == {"Precision", "Trace"}
        assert config[one["name"]]["Trace"] is False
    types = {one["name"]: config[one["name"]]["Precision"]["result"] for one in entries[:-1]}
    return types, [one["inputs"] for one in entries]


TABLE = Table("l", ("x",), FixedPoint(2, 1), counting(4))


def test_a_table_is_read_through_its_index():
    assert casts(TABLE, SIGNED) == ({"l_index": "ap_fixed<2,1>"}, [["x"], ["l_index"]])
    before = (Activation("l_index", ("x",), Function.LINEAR, SIGNED),)
    after = Table("l", ("l_index",), FixedPoint(2, 1), counting(4))
    assert casts(after, SIGNED, before=before) == ({"l_index_x": "ap_fixed<2,1>"}, [["l_index"], ["l_index_x"]])
    request, arrays = lowered(TABLE, (4,))
    assert request["layers"][-1] == {
        "name": "l", "inputs": ["l_index"], "outputs": ["l"], "class_name": "UnaryLUT", "activation": "unary_lut",
        "n_in": 4, "table_data": {"array": "l.table"},
    }  # fmt: skip
    np.testing.assert_array_equal(arrays["l.table"], np.array([2, 3, 0, 1]) / 32)
    _, arrays = lowered(Table("l", ("x",), FixedPoint(2, 1, False), counting(4)), (4,))
    np.testing.assert_array_equal(arrays["l.table"], np.array([0, 1, 2, 3]) / 32)


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [
        (0, {}),  # 4 bits of which 2 are dropped
        (-1, {"l_wide": "ap_fixed<5,3>"}),  # three dropped: five bits
        (-4, {"l_wide": "ap_fixed<8,6>"}),
    ],
)
def test_a_value_is_made_wider_before_more_bits_are_dropped_than_it_has(fraction, expected):
    layer = Activation("l", ("x",), Function.RELU, FixedPoint(8, 8 - fraction))
    sources = [["x"], ["l_wide"]] if expected else [["x"]]
    assert casts(layer, SIGNED) == (expected, sources)


def test_a_table_may_need_both_casts():
    layer = Table("l", ("x",), FixedPoint(2, 4), counting(4))
    assert casts(layer, FixedPoint(4, 2, False)) == (
        {"l_wide": "ap_ufixed<6,4>", "l_index": "ap_fixed<2,4>"}, [["x"], ["l_wide"], ["l_index"]],
    )  # fmt: skip


def test_a_cast_that_drops_too_many_bits_is_refused():
    def layer(fraction):
        return Activation("l", ("x",), Function.LINEAR, FixedPoint(8, 8 - fraction))

    assert casts(layer(-59), SIGNED)[0] == {"l_wide": "ap_fixed<63,61>"}
    with pytest.raises(UnsupportedLayer) as caught:
        casts(layer(-60), SIGNED)
    assert str(caught.value) == "layer 'l': rounding fixed<4,2> to fixed<8,68> drops 62 bits, too many"


def test_the_axes_of_weights():
    _, arrays = lowered(DepthwiseConv("l", ("x",), counting(2, 3, 2), counting(2), (1, 1), NONE), MAP)
    np.testing.assert_array_equal(arrays["l.kernel"], np.arange(12).reshape(2, 3, 2, 1) / 32)
    np.testing.assert_array_equal(arrays["l.bias"], np.arange(2) / 32)
    for shape, axes in [((2,), (2, 3)), ((7, 2), (1, 2, 3)), (MAP, (1, 1, 2, 3))]:
        _, arrays = lowered(Dense("l", ("x",), counting(2, 3), counting(3)), shape)
        np.testing.assert_array_equal(arrays["l.kernel"], np.arange(6).reshape(axes) / 32)
        np.testing.assert_array_equal(arrays["l.bias"], np.arange(3) / 32)


def test_a_depthwise_kernel_is_called_by_its_own_name():
    request, _ = lowered(DepthwiseConv("l", ("x",), counting(2, 3, 2), counting(2), (1, 1), NONE), MAP)
    weights = {key: value for key, value in request["layers"][-1].items() if key.endswith("_data")}
    assert weights == {"depthwise_data": {"array": "l.kernel"}, "bias_data": {"array": "l.bias"}}
    request, _ = lowered(Affine("l", ("x",), counting(4), counting(4)), (4,))
    weights = {key: value for key, value in request["layers"][-1].items() if key.endswith("_data")}
    assert weights == {"scale_data": {"array": "l.scale"}, "bias_data": {"array": "l.bias"}}


FLAT = Flatten("f", ("x",))
REFUSED = [
    (
        Conv("l", ("x",), counting(1, 3, 2, 2), counting(2), (2, 2), NONE), STREAM, (), ConfigError,
        "layer 'l': a convolution with io_stream must have no strides (2, 2) above its window (1, 3): hls4ml's C++ "
        "gives wrong sums then; use io_parallel",
    ),
    (
        DepthwiseConv("l", ("x",), counting(3, 1, 2), counting(2), (2, 2), NONE), STREAM, (), ConfigError,
        "layer 'l': a convolution with io_stream must have no strides (2, 2) above its window (3, 1): hls4ml's C++ "
        "gives wrong sums then; use io_parallel",
    ),
    (
        MaxPool("l", ("x",), (2, 2), (2, 1), NONE), STREAM, (), ConfigError,
        "layer 'l': pooling with io_stream must have strides equal to its window (2, 2) and no padding, not strides "
        "(2, 1); use io_parallel",
    ),
    (
        AveragePool("l", ("x",), (2, 2), (2, 2), PADDING, ROUNDED), STREAM, (), ConfigError,
        "layer 'l': pooling with io_stream must have strides equal to its window (2, 2) and no padding, not strides "
        "(2, 2) and padding; use io_parallel",
    ),
    (
        MaxPool("l", ("a",), (2, 2), (2, 2), ((0, 0), (0, 1))), PARALLEL,
        (Activation("a", ("x",), Function.RELU, BYTE),), ConfigError,
        "layer 'l': hls4ml pads an unsigned maximum with its largest value; put a Pad before it",
    ),
    (
        Activation("l", ("f",), Function.RELU, ROUNDED), STREAM, (FLAT,), ConfigError,
        "layer 'f': with io_stream only a Dense may read a Flatten, not 'l': hls4ml's C++ takes the values in the "
        "wrong packing then; put that layer before the Flatten, or use io_parallel",
    ),
    (Add("l", ("x", "x", "x")), PARALLEL, (), UnsupportedLayer, "layer 'l': hls4ml adds two inputs, not 3"),
    (
        Concatenate("l", ("x", "x", "x")), PARALLEL, (), UnsupportedLayer,
        "layer 'l': hls4ml concatenates two inputs, not 3",
    ),
    (
        Reshape("l", ("f",), MAP), PARALLEL, (FLAT,), UnsupportedLayer,
        "network 'n' only renames its input: hls4ml writes no C++ for that",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "design", "before", "kind", "message"), REFUSED)
def test_what_hls4ml_cannot_do_is_refused(layer, design, before, kind, message):
    with pytest.raises(kind) as caught:
        lowered(layer, MAP, design=design, before=before)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("layer", "design", "before"),
    [
        (Conv("l", ("x",), counting(2, 3, 2, 2), counting(2), (2, 3), NONE), STREAM, ()),
        (Conv("l", ("x",), counting(1, 3, 2, 2), counting(2), (2, 2), NONE), PARALLEL, ()),
        (MaxPool("l", ("x",), (2, 2), (2, 2), NONE), STREAM, ()),
        (MaxPool("l", ("x",), (2, 2), (2, 1), PADDING), PARALLEL, ()),
        (AveragePool("l", ("a",), (2, 2), (2, 2), PADDING, ROUNDED), PARALLEL,
         (Activation("a", ("x",), Function.RELU, BYTE),)),
        (MaxPool("l", ("a",), (2, 2), (2, 2), NONE), PARALLEL, (Activation("a", ("x",), Function.RELU, BYTE),)),
        (Activation("l", ("f",), Function.RELU, ROUNDED), PARALLEL, (FLAT,)),
        (Dense("l", ("f",), counting(40, 2), counting(2)), STREAM, (FLAT,)),
        (Activation("l", ("f",), Function.RELU, ROUNDED), STREAM, (Reshape("f", ("x",), (20, 2)),)),
        (Activation("l", ("f",), Function.RELU, ROUNDED), STREAM, (Reshape("f", ("x",), (10, 4)),)),
    ],
)  # fmt: skip
def test_what_lies_beside_it_is_not(layer, design, before):
    assert lowered(layer, MAP, design=design, before=before)[0]["outputs"] == ["l"]


def test_a_flatten_of_one_pixel_changes_no_packing():
    made = Activation("l", ("f",), Function.RELU, ROUNDED)
    assert lowered(made, (1, 1, 5), design=STREAM, before=(FLAT,))[0]["outputs"] == ["l"]


def test_an_unknown_kind_of_layer_is_refused():
    with pytest.raises(UnsupportedLayer) as caught:
        entry_of(Layer("q", ()), (), ())
    assert str(caught.value) == "layer 'q': a Layer cannot be converted"
