import numpy as np
import pytest

from fpgaml.errors import DataError
from fpgaml.exact.accuracy import answers_right, right_answers
from fpgaml.exact.emulate import run
from tests import networks


def test_answers_are_those_of_the_largest_logit():
    network = networks.mlp()
    codes = networks.codes_for(network, 50)
    labels = run(network, codes).argmax(axis=1)
    labels[[3, 7]] = (labels[[3, 7]] + 1) % 5
    assert right_answers(network, codes, labels) == 48
    assert np.flatnonzero(~answers_right(network, codes, labels)).tolist() == [3, 7]


def test_no_images_and_wrong_labels_are_refused():
    network = networks.mlp()
    codes = networks.codes_for(network, 4)
    with pytest.raises(DataError) as error:
        right_answers(network, codes[:0], np.zeros(0))
    assert str(error.value) == "accuracy of 'mlp' needs at least one image; the data set is empty"
    with pytest.raises(DataError) as error:
        right_answers(network, codes, np.zeros(3))
    assert str(error.value) == "labels must have shape (4,), one for each image, not (3,)"
