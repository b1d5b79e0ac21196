import io

import numpy as np
import pytest

from fpgaml.ir.floatmodel import from_network, types_of
from fpgaml.precision.histogram import summarize
from fpgaml.precision.profile import profile, profile_floats
from fpgaml.precision.sweep import sweep
from fpgaml.report import profile_figures as figures
from tests import networks
from tests.precision.test_profile import tiny


@pytest.fixture(params=[networks.mlp, networks.cnn])
def subject(request):
    network = request.param()
    codes = networks.codes_for(network, 40)
    return network, codes, profile(network, codes, np.arange(40) % 3)


def texts(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def written(figure, kind):
    file = io.BytesIO()
    figure.savefig(file, format=kind)
    return file.getvalue()


@pytest.mark.parametrize("draw", [figures.ranges, figures.bit_use, figures.accumulators])
def test_every_figure_is_written_as_svg_and_png(subject, draw):
    figure, caption = draw(subject[2])
    assert written(figure, "svg").startswith(b"<?xml")
    assert written(figure, "png").startswith(b"\x89PNG")
    assert caption.endswith(".")


def test_rows_are_the_tensors_in_network_order(subject):
    found = subject[2]
    figure, _ = figures.accumulators(found)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == [t.name for t in found.tensors if t.role == "accumulator"]
    figure, _ = figures.bit_use(found)
    assert len(figure.axes[0].get_yticklabels()) == len(found.tensors)


def test_float_tensors_are_drawn_beside_the_quantized():
    found = profile(tiny(), np.array([[0, 0], [7, 0]]))
    floats = {"relu": summarize(profile_floats([{"relu": np.array([0.5, 6.5])}])["relu"])}
    alone, both = figures.ranges(found)[0], figures.ranges(found, floats)[0]
    assert len(both.axes[0].lines) == len(alone.axes[0].lines) + 4


def test_the_overflow_map_says_each_share():
    found = profile(tiny(), np.array([[0, 0], [7, 0]]), np.array([0, 1]))
    assert texts(figures.overflow_map(found)[0]) == ["0", "1e+02"]


def test_without_overflow_there_is_a_sentence_instead_of_a_map(subject):
    network, codes, _ = subject
    found = profile(network, np.zeros_like(codes))
    assert figures.overflow_map(found, "sample") == (None, "No value of any tensor overflows on these 40 samples.")


def test_the_overflow_map_names_the_classes():
    found = profile(tiny(), np.array([[0, 0], [7, 0]]), np.array([0, 1]))
    figure, _ = figures.overflow_map(found, "sample", ("gamma", "neutron"))
    ax = figure.axes[0]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["gamma", "neutron"]
    assert ax.get_xlabel() == "class of the sample"
    assert written(figure, "svg").startswith(b"<?xml")


def test_a_network_of_constants_is_drawn(subject):
    network, codes, _ = subject
    found = profile(network, np.zeros_like(codes))
    for draw in (figures.ranges, figures.bit_use, figures.overflow_map, figures.accumulators):
        draw(found)


def test_the_sweep_map_says_every_accuracy(subject):
    network, codes, _ = subject
    found = sweep(
        from_network(network), codes, np.zeros(40, int), widths=[4, 8], integers=[1, 2, 3], others=types_of(network)
    )
    figure, caption = figures.sweep_map(found)
    assert texts(figure) == [f"{100 * share:.2f}" for share in found.accuracies.ravel()]
    assert "weights and activations of all layers" in caption
