import pytest

from fpgaml.errors import ConfigError
from fpgaml.estimate import EstimateStage, FitVerdict, compare_with_float, estimate, fit, utilisation
from fpgaml.ir.network import matrix_size
from fpgaml.target.boards import find_board, find_part
from fpgaml.target.design import Design, IoType, LayerDesign, Strategy, check_design, is_valid_reuse
from fpgaml.target.measurement import ESTIMATED, RESOURCES, Metric, Source
from fpgaml.target.toolchain import Backend
from tests.exact.test_emulate import CASES

BOARD = find_board("pynq-z2")


def design(**values):
    return Design(Backend.VITIS, BOARD.part_number, **({"clock_ns": 5.0} | values))


def test_every_number_has_range_and_source(jet_mlp):
    found = estimate(jet_mlp, design(), BOARD.part)
    assert set(found.csynth) == set(ESTIMATED)
    assert set(found.synthesis) == set(RESOURCES)
    for values in (found.csynth, found.synthesis, *(layer.values for layer in found.layers)):
        for one in values.values():
            assert one.source is Source.FORMULA
            assert one.value.low <= one.value.median <= one.value.high
    assert found.csynth[Metric.LUT].tool == "estimate of HLS csynth"
    assert found.synthesis[Metric.LUT].tool == "estimate of after logic synthesis"
    assert [layer.name for layer in found.layers] == ["fc0", "relu0", "fc1", "relu1", "fc2", "relu2", "fc3"]


def test_logic_synthesis_needs_fewer_luts_than_csynth_says(jet_mlp):
    found = estimate(jet_mlp, design(), BOARD.part)
    assert found.synthesis[Metric.LUT].value.median < 0.7 * found.csynth[Metric.LUT].value.median


def test_a_depthwise_convolution_keeps_the_strategy_that_hls4ml_has_for_it():
    network = CASES["depthwise"]
    proposals = fit(network, design(clock_ns=10.0), BOARD.part)
    assert proposals
    assert {one.design.strategy_of("c") for one in proposals} == {Strategy.LATENCY}
    for one in proposals:
        check_design(network, one.design)


def test_latency_in_microseconds(jet_mlp):
    found = estimate(jet_mlp, design(clock_ns=8.0), BOARD.part)
    assert found.latency_us.median == found.csynth[Metric.LATENCY].value.median * 0.008


def test_reuse_trades_resources_for_cycles(jet_mlp):
    fast = estimate(jet_mlp, design(strategy=Strategy.RESOURCE, reuse_factor=1), BOARD.part)
    slow = estimate(jet_mlp, design(strategy=Strategy.RESOURCE, reuse_factor=32, per_layer=()), BOARD.part)
    assert slow.csynth[Metric.LUT].value.median < fast.csynth[Metric.LUT].value.median
    assert slow.csynth[Metric.INTERVAL].value.median >= 32 > fast.csynth[Metric.INTERVAL].value.median


def test_a_slower_clock_needs_fewer_cycles(jet_mlp):
    cycles = [estimate(jet_mlp, design(clock_ns=c), BOARD.part).csynth[Metric.LATENCY].value.median for c in (3, 5, 20)]
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[0] > cycles[-1]


def test_outside_the_data_the_range_is_wider(jet_mlp):
    near = estimate(jet_mlp, design(), BOARD.part)
    far = estimate(jet_mlp, design(clock_ns=200.0), BOARD.part)
    assert not near.extrapolated
    assert far.extrapolated
    assert all(one.extrapolated for one in far.csynth.values())

    def width(found):
        value = found.csynth[Metric.LUT].value
        return value.high / value.low

    assert width(far) > width(near)


def test_invalid_reuse_is_refused(jet_mlp):
    wrong = design(per_layer=(LayerDesign("fc0", 7, Strategy.RESOURCE),))
    with pytest.raises(ConfigError) as caught:
        estimate(jet_mlp, wrong, BOARD.part)
    assert str(caught.value) == (
        "layer 'fc0': reuse factor 7 is not valid for its 16 x 64 matrix in the resource strategy; "
        "the nearest valid one is 8"
    )


def test_verdicts(jet_mlp):
    found = estimate(jet_mlp, design(), BOARD.part)
    small = utilisation(found, part=find_part("xc7z007sclg225-1"))
    large = utilisation(found, part=find_part("xcvu13p-flga2577-2-e"))
    assert (small.verdict, small.limiting.metric) == (FitVerdict.TOO_LARGE, Metric.LUT)
    assert large.verdict is FitVerdict.FITS
    assert large.probability > 0.99
    assert (
        utilisation(found, EstimateStage.SYNTHESIS).probability > utilisation(found, EstimateStage.CSYNTH).probability
    )


@pytest.mark.parametrize(
    ("name", "io"),
    [
        ("lecture_mlp", IoType.STREAM),
        ("lecture_mlp", IoType.PARALLEL),
        ("cnn", IoType.STREAM),
        ("jet_mlp", IoType.PARALLEL),
    ],
)
def test_fit_proposes_valid_reuse_factors_that_fit(name, io, request):
    network = request.getfixturevalue(name)
    proposals = fit(network, design(clock_ns=10.0, io_type=io), BOARD.part)
    best = proposals[0]
    assert best.utilisation.verdict is FitVerdict.FITS
    assert best.fits
    for layer, factor in best.reuse_factors.items():
        assert is_valid_reuse(*matrix_size(network[layer]), factor)
    again = estimate(network, best.design, BOARD.part)
    assert again.csynth == best.estimate.csynth


def test_fit_within_a_latency_is_cheaper_than_the_fastest(jet_mlp):
    fastest = fit(jet_mlp, design(clock_ns=10.0), BOARD.part)[0]
    cheapest = fit(jet_mlp, design(clock_ns=10.0), BOARD.part, latency_us=100.0)[0]
    assert cheapest.estimate.latency_us.median <= 100.0
    assert cheapest.estimate.csynth[Metric.LUT].value.median <= fastest.estimate.csynth[Metric.LUT].value.median


def test_fit_says_when_nothing_fits(jet_mlp):
    assert fit(jet_mlp, design(), find_part("xc7z007sclg225-1"), latency_us=0.01) == ()
    with pytest.raises(ConfigError) as caught:
        fit(jet_mlp, design(), BOARD.part, latency_us=0)
    assert str(caught.value) == "latency budget must be above 0 us, not 0"


def test_float_model(jet_mlp):
    found = compare_with_float(jet_mlp, design(), BOARD.part)
    weights = 16 * 64 + 64 * 32 + 32 * 32 + 32 * 5 + 64 + 32 + 32 + 5
    assert found.float32_bits == 32 * weights
    assert found.weight_bits == 8 * weights
    assert found.float_model.csynth[Metric.DSP].value.median > 3000
    assert found.quantized.csynth[Metric.DSP].value.median == 0


def test_walls(lecture_mlp, cnn):
    assert [(wall.layer, str(wall.certainty)) for wall in estimate(lecture_mlp, design(), BOARD.part).walls] == [
        ("fc0", "risk"),
        ("fc1", "risk"),
    ]
    assert str(estimate(lecture_mlp, design(), BOARD.part).walls[0]) == (
        "layer 'fc0' risk: it unrolls 200,704 products, more than the 4,096 that Vitis HLS unrolls; "
        "use the resource strategy with a reuse factor above 1"
    )
    parallel = estimate(cnn, design(), BOARD.part).walls
    assert [wall.layer for wall in parallel if wall.certainty == "fails"] == ["conv1", "relu1", "pool1"]
    assert estimate(cnn, design(io_type=IoType.STREAM), BOARD.part).walls == ()
