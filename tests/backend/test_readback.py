"""Reading a project back: one written by hand, as hls4ml would, and each thing in it spoiled in turn."""

import numpy as np
import pytest

from fpgaml.backend.readback import check_project, read_project
from fpgaml.errors import ConversionMismatch
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import (
    Activation,
    Add,
    Affine,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    Function,
    Input,
    Network,
    Pad,
    Reshape,
    Table,
    Weights,
)
from fpgaml.target.design import Backend, Design, LayerDesign, Strategy

DESIGN = Design(Backend.VITIS, "xc7z020clg400-1")
RESOURCE = Design(Backend.VITIS, "xc7z020clg400-1", strategy=Strategy.RESOURCE)
KIND = FixedPoint(8, 8)
RELU = FixedPoint(6, 6, False, Rounding.RND_CONV, Overflow.SAT)


def counting(*shape):
    return Weights(np.arange(np.prod(shape)).reshape(shape), KIND)


NETWORK = Network(
    "n",
    (
        Input("x", (), (2,), FixedPoint(3, 3)),
        Dense("d", ("x",), counting(2, 3), Weights(np.array([7, 8, 9]), FixedPoint(5, 4))),
        Activation("r", ("d",), Function.RELU, RELU),
        Affine("s", ("r",), counting(3), counting(3)),
        Table("t", ("s",), FixedPoint(2, 2), counting(4)),
    ),
)
DEFINES = """\
// types
typedef ap_fixed<3,3> input_t;
typedef ap_fixed<7,6> d_accum_t;
typedef nnet::array<ap_fixed<7,6>, 3*1> layer2_t;
typedef ap_fixed<8,8> d_weight_t;
typedef ap_fixed<5,4> d_bias_t;
typedef ap_ufixed<6,6,AP_RND_CONV,AP_SAT,0> layer3_t;
typedef ap_fixed<18,8> r_table_t;
typedef ap_fixed<7,7> layer4_t;
typedef ap_fixed<8,8> s_scale_t;
typedef ap_fixed<8,8> s_bias_t;
typedef ap_fixed<2,2> layer5_t;
typedef ap_fixed<8,8> result_t;
typedef ap_fixed<8,8> t_table_t;
typedef ap_uint<1> layer2_index;
typedef some_struct nothing_t;
"""
PARAMETERS = """\
// d
struct config2 : nnet::dense_config {
    static const unsigned n_in = 2;
    typedef d_accum_t accum_t;
    typedef d_bias_t bias_t;
    typedef d_weight_t weight_t;
    template<class x_T, class y_T>
    using product = nnet::product::mult<x_T, y_T>;
};

struct relu_config3 : nnet::activ_config {
    static const unsigned n_in = 3;
};

struct config4 : nnet::batchnorm_config {
    typedef s_bias_t bias_t;
    typedef s_scale_t scale_t;
};

struct unary_lut_config6 : nnet::activ_config {
    typedef t_table_t table_t;
};
"""
TOP = """\
    nnet::load_weights_from_txt<d_weight_t, 6>(w2, "w2.txt");
    nnet::zeropad1d_cl<input_t, layer3_t, config9>(x, layer9_out); // zp1d_d
    nnet::dense<input_t, layer2_t, config2>(x, layer2_out, w2, b2); // d
    nnet::save_layer_output<layer2_t>(layer2_out, "d", 3);
    nnet::relu<layer2_t, layer3_t, relu_config3>(layer2_out, layer3_out); // r
    nnet::normalize<layer3_t, layer4_t, config4>(layer3_out, layer4_out, s4, b4); // s
    nnet::linear<layer4_t, layer5_t, linear_config5>(layer4_out, layer5_out); // t_index
    nnet::unary_lut<layer5_t, result_t, unary_lut_config6>(layer5_out, layer6_out, table6); // t
"""
WEIGHTS = {
    "w2": "0, 1, 2,\n3, 4, 5", "b2": "3.5, 4.0, 4.5", "s4": "0, 1, 2", "b4": "0, 1, 2", "table6": "2, 3, 0, 1",
}  # fmt: skip


def write(folder, name="n", top=TOP, defines=DEFINES, parameters=PARAMETERS, weights=WEIGHTS):
    firmware = folder / "firmware"
    (firmware / "weights").mkdir(parents=True)
    (firmware / f"{name}.cpp").write_text(top)
    (firmware / "defines.h").write_text(defines)
    (firmware / "parameters.h").write_text(parameters)
    for file, text in weights.items():
        (firmware / "weights" / f"{file}.txt").write_text(text)
    return folder


def mismatch(network, design, folder):
    """The message of the difference that is found."""
    with pytest.raises(ConversionMismatch) as caught:
        check_project(network, design, folder)
    return str(caught.value)


def test_what_is_read(tmp_path):
    found = read_project(NETWORK, write(tmp_path))
    assert {name: (one.types, {k: v.tolist() for k, v in one.weights.items()}) for name, one in found.items()} == {
        "x": ({"result": FixedPoint(3, 3)}, {}),
        "d": (
            {"result": FixedPoint(7, 6), "accum": FixedPoint(7, 6), "weight": KIND, "bias": FixedPoint(5, 4)},
            {"weight": [0, 1, 2, 3, 4, 5], "bias": [7, 8, 9]},
        ),
        "r": ({"result": RELU}, {}),
        "s": ({"result": FixedPoint(7, 7), "scale": KIND, "bias": KIND}, {"scale": [0, 1, 2], "bias": [0, 1, 2]}),
        "t": ({"result": KIND, "table": KIND}, {"table": [2, 3, 0, 1]}),
    }


def test_a_project_that_is_the_network_passes(tmp_path):
    check_project(NETWORK, DESIGN, write(tmp_path))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<3,3> input_t", "<3,2> input_t", "layer 'x': the C++ has fixed<3,2> as result type, the network fixed<3,3>"),
        ("<7,6> d_acc", "<8,7> d_acc", "layer 'd': the C++ has fixed<8,7> as accum type, the network fixed<7,6>"),
        ("<7,6>, 3*1", "<7,5>, 3*1", "layer 'd': the C++ has fixed<7,5> as result type, the network fixed<7,6>"),
        ("<8,8> d_w", "<9,9> d_w", "layer 'd': the C++ has fixed<9,9> as weight type, the network fixed<8,8>"),
        ("fixed<5,4> d_b", "ufixed<5,4> d_b",
         "layer 'd': the C++ has ufixed<5,4> as bias type, the network fixed<5,4>"),
        ("AP_RND_CONV,", "AP_RND,",
         "layer 'r': the C++ has ufixed<6,6,RND,SAT> as result type, the network ufixed<6,6,RND_CONV,SAT>"),
        ("<8,8> s_s", "<9,9> s_s", "layer 's': the C++ has fixed<9,9> as scale type, the network fixed<8,8>"),
        ("<8,8> t_t", "<9,9> t_t", "layer 't': the C++ has fixed<9,9> as table type, the network fixed<8,8>"),
    ],
)  # fmt: skip
def test_each_type_is_compared(old, new, message, tmp_path):
    assert DEFINES.count(old) == 1
    assert mismatch(NETWORK, DESIGN, write(tmp_path, defines=DEFINES.replace(old, new))) == message


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("w2", "0, 1, 2, 3, 4, 6", "layer 'd': 1 of 6 kernel values differ in the C++; the first, at position 5, has "
         "code 6 where the network has 5"),
        ("w2", "0, 1, 3, 2, 4, 5", "layer 'd': 2 of 6 kernel values differ in the C++; the first, at position 2, has "
         "code 3 where the network has 2"),
        ("b2", "3.5, 4.0, 5", "layer 'd': 1 of 3 bias values differ in the C++; the first, at position 2, has code 10 "
         "where the network has 9"),
        ("w2", "0, 1, 2, 3, 4", "layer 'd': the C++ has 5 kernel values, not 6"),
        ("s4", "0, 1, 3", "layer 's': 1 of 3 scale values differ in the C++; the first, at position 2, has code 3 "
         "where the network has 2"),
        ("table6", "0, 1, 2, 3", "layer 't': 4 of 4 table values differ in the C++; the first, at position 0, has "
         "code 0 where the network has 2"),
        ("w2", "0, 1, 2, 3, 4, 5.5",
         "@/firmware/weights/w2.txt: value np.float64(5.5) is not on the grid of fixed<8,8>"),
    ],
)  # fmt: skip
def test_each_weight_is_compared(file, text, message, tmp_path):
    folder = write(tmp_path, weights=WEIGHTS | {file: text})
    assert mismatch(NETWORK, DESIGN, folder) == message.replace("@", str(folder))


def test_missing_weights_and_layers_are_named(tmp_path):
    folder = write(tmp_path / "a", weights={k: v for k, v in WEIGHTS.items() if k != "w2"})
    assert mismatch(NETWORK, DESIGN, folder) == "layer 'd': the C++ has no kernel"
    for name in "drst":
        folder = write(tmp_path / name, top="\n".join(line for line in TOP.splitlines() if f"// {name}" not in line))
        assert mismatch(NETWORK, DESIGN, folder) == f"layer {name!r} is missing from the C++ in {folder}"


@pytest.mark.parametrize("file", ["n.cpp", "defines.h", "parameters.h"])
def test_a_missing_file_is_named(file, tmp_path):
    folder = write(tmp_path)
    path = folder / "firmware" / file
    path.unlink()
    assert mismatch(NETWORK, DESIGN, folder) == (
        f"{folder} is not a complete HLS project of 'n': [Errno 2] No such file or directory: '{path}'"
    )


def test_only_distributed_arithmetic_may_leave_its_weights_out(tmp_path):
    folder = write(tmp_path, weights={k: v for k, v in WEIGHTS.items() if k[1:] != "2"})
    made = Design(Backend.VITIS, "part", per_layer=(LayerDesign("d", strategy=Strategy.DISTRIBUTED_ARITHMETIC),))
    check_project(NETWORK, made, folder)
    assert mismatch(NETWORK, DESIGN, folder) == "layer 'd': the C++ has no kernel"
    spoiled = write(tmp_path / "with", weights=WEIGHTS | {"w2": "1, 1, 2, 3, 4, 5"})
    assert mismatch(NETWORK, made, spoiled).startswith("layer 'd': 1 of 6 kernel values differ in the C++; ")


# --- the order of weights, and layers that may vanish -----------------------------------------------------------------


def one(layer, shape):
    return Network("n", (Input("x", (), shape, FixedPoint(3, 3)), layer))


def written(layer, result, kernel):
    """The parts of a project with a single layer `l` of integer weights, whose bias is 0, 1, ..."""
    bias = ", ".join(map(str, range(layer.bias.codes.size)))
    return {
        "defines": f"typedef ap_fixed<3,3> input_t;\ntypedef {result} result_t;\ntypedef ap_fixed<8,8> k_t;\n",
        "parameters": "struct config2 : nnet::any {\n    typedef k_t weight_t;\n    typedef k_t bias_t;\n};\n",
        "top": "    nnet::any<input_t, result_t, config2>(x, out, w2, b2); // l\n",
        "weights": {"w2": ", ".join(map(str, kernel)), "b2": bias},
    }


NONE = ((0, 0), (0, 0))
ORDERS = [
    (Dense("l", ("x",), counting(2, 3), counting(3)), (2,), "ap_fixed<6,6>", [0, 3, 1, 4, 2, 5]),
    (Conv("l", ("x",), counting(1, 2, 1, 3), counting(3), (1, 1), NONE), (2, 2, 1), "ap_fixed<6,6>",
     [0, 3, 1, 4, 2, 5]),
    (DepthwiseConv("l", ("x",), counting(1, 2, 3), counting(3), (1, 1), NONE), (2, 2, 3), "ap_fixed<6,6>",
     [0, 3, 1, 4, 2, 5]),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "shape", "result", "outputs_first"), ORDERS)
def test_the_resource_strategies_write_outputs_first(layer, shape, result, outputs_first, tmp_path):
    made, inputs_first = one(layer, shape), [0, 1, 2, 3, 4, 5]
    plain = write(tmp_path / "plain", **written(layer, result, inputs_first))
    turned = write(tmp_path / "turned", **written(layer, result, outputs_first))
    unrolled = Design(Backend.VITIS, "part", strategy=Strategy.RESOURCE_UNROLLED)
    check_project(made, DESIGN, plain)
    check_project(made, RESOURCE, turned)
    check_project(made, unrolled, turned)
    message = "layer 'l': 4 of 6 kernel values differ in the C++; the first, at position 1, has code "
    assert mismatch(made, DESIGN, turned) == message + "3 where the network has 1"
    assert mismatch(made, RESOURCE, plain) == message + "1 where the network has 3"


def test_the_last_of_the_types_of_a_call_is_its_result(tmp_path):
    image, made = Input("x", (), (2,), FixedPoint(3, 3)), Add("l", ("x", "x"))
    parts = {
        "defines": "typedef ap_fixed<3,3> input_t;\ntypedef ap_fixed<4,4> result_t;\n", "parameters": "", "weights": {},
        "top": "    nnet::add<input_t, input_t, result_t, config2>(x, x, out); // l\n",
    }  # fmt: skip
    found = read_project(Network("n", (image, made)), write(tmp_path, **parts))
    assert found["l"].types == {"result": FixedPoint(4, 4)}


def test_a_table_of_no_sign_keeps_its_order(tmp_path):
    made = one(Table("l", ("x",), FixedPoint(2, 2, False), counting(4)), (2,))
    parts = {
        "defines": "typedef ap_fixed<3,3> input_t;\ntypedef ap_fixed<8,8> result_t;\ntypedef ap_fixed<8,8> k_t;\n",
        "parameters": "struct config2 : nnet::any {\n    typedef k_t table_t;\n};\n",
        "top": "    nnet::any<input_t, result_t, config2>(x, out, table2); // l\n",
    }
    check_project(made, DESIGN, write(tmp_path / "a", **parts, weights={"table2": "0, 1, 2, 3"}))
    check_project(made, RESOURCE, write(tmp_path / "b", **parts, weights={"table2": "0, 1, 2, 3"}))
    assert mismatch(made, DESIGN, write(tmp_path / "c", **parts, weights={"table2": "2, 3, 0, 1"})).startswith(
        "layer 'l'"
    )


EMPTY = {"parameters": "", "top": "", "weights": {}, "defines": "typedef ap_fixed<3,3> input_t;\n"}


@pytest.mark.parametrize(
    ("layer", "may"),
    [
        (Flatten("l", ("x",)), True),
        (Reshape("l", ("x",), (4, 1)), True),
        (Activation("l", ("x",), Function.LINEAR, FixedPoint(3, 3)), True),
        (Activation("l", ("x",), Function.RELU, FixedPoint(3, 3)), False),
        (Activation("l", ("x",), Function.LINEAR, FixedPoint(3, 3, True, Rounding.RND)), False),
        (Pad("l", ("x",), ((0, 0),)), False),
    ],
)
def test_only_what_renames_may_leave_no_call(layer, may, tmp_path):
    made, folder = one(layer, (2, 2)), write(tmp_path, **EMPTY)
    if may:
        check_project(made, DESIGN, folder)
    else:
        assert mismatch(made, DESIGN, folder) == f"layer 'l' is missing from the C++ in {folder}"


@pytest.mark.parametrize(
    ("layer", "result", "message"),
    [
        (Pad("l", ("x",), ((0, 1),)), "ap_fixed<3,3,AP_RND,AP_SAT,0>", None),
        (Reshape("l", ("x",), (4, 1)), "ap_fixed<3,3,AP_RND,AP_SAT,0>", None),
        (Flatten("l", ("x",)), "ap_fixed<3,3,AP_RND,AP_SAT,0>", None),
        (Pad("l", ("x",), ((0, 1),)), "ap_fixed<3,2>", "fixed<3,2>"),
        (Pad("l", ("x",), ((0, 1),)), "ap_fixed<4,3>", "fixed<4,3>"),
        (Pad("l", ("x",), ((0, 1),)), "ap_ufixed<3,3>", "ufixed<3,3>"),
        (Activation("l", ("x",), Function.RELU, FixedPoint(3, 3)), "ap_fixed<3,3,AP_RND,AP_WRAP,0>",
         "fixed<3,3,RND,WRAP>"),
    ],
)  # fmt: skip
def test_how_a_value_would_round_matters_only_where_it_is_cast(layer, result, message, tmp_path):
    parts = EMPTY | {
        "defines": f"{EMPTY['defines']}typedef {result} result_t;\n",
        "top": "    nnet::any<input_t, result_t, config2>(x, out); // l\n",
    }
    made, folder = one(layer, (2, 2)), write(tmp_path, **parts)
    if message is None:
        check_project(made, DESIGN, folder)
    else:
        expected = f"layer 'l': the C++ has {message} as result type, the network fixed<3,3>"
        assert mismatch(made, DESIGN, folder) == expected
