"""Folds and seeds on a tiny set."""

import numpy as np
import pytest

from fpgaml.card.toml import card_of
from fpgaml.datasets.dataset import images
from fpgaml.errors import ConfigError, DataError
from fpgaml.training.trials import Spread, Trial, cross_validate, repeat, split_folds, summarize

CARD = card_of({
    "model": {"layers": [{"kind": "flatten"}, {"kind": "dense", "units": 2, "activation": "softmax"}]},
    "training": {"epochs": 1, "batch": 10},
    "quantization": {"epochs": 1},
})  # fmt: skip


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 100, (60, 4, 4), np.uint8), (np.arange(60) % 2).astype(np.uint8)
    x[y == 1, :, :2] += 120
    return images({"x_train": x, "y_train": y, "x_test": x[:40], "y_test": y[:40]}, "here")


def test_each_image_is_tested_once(data):
    parts = list(split_folds(data, 3, seed=0))
    assert [len(part.x_test) for part in parts] == [20, 20, 20]
    assert [np.bincount(part.y_test).tolist() for part in parts] == [[10, 10]] * 3
    tested = np.concatenate([part.x_test for part in parts]).reshape(60, -1)
    assert len(np.unique(tested, axis=0)) == len(np.unique(data.x_train.reshape(60, -1), axis=0))


def test_too_few(data):
    for folds in (0, 1, 11):
        with pytest.raises(ConfigError) as caught:
            next(split_folds(data, folds, seed=0))
        assert str(caught.value) == f"cross-validation must have 2 to 10 folds, not {folds}"
    few = data.subset((0, 1))
    few.y_train[:54] = 0
    with pytest.raises(DataError) as caught:
        next(split_folds(few, 5, seed=0))
    assert str(caught.value) == (
        "class '1' has 3 images, too few for 5 folds: each fold must have at least one; ask for fewer folds, or leave "
        "the class out with data.classes"
    )


def test_a_scarce_class_is_in_every_fold(data):
    few = data.subset((0, 1))
    few.y_train[:54] = 0
    for part in split_folds(few, 3, seed=0):
        assert np.bincount(part.y_test).tolist() == [19, 1]
        assert np.bincount(part.y_train).tolist() == [38, 2]


def test_cross_validation(data):
    told = []
    trials = list(cross_validate(CARD, data, 2, skip=["fold 1"], progress=lambda *what: told.append(what[:2])))
    assert [(one.name, one.images) for one in trials] == [("fold 2", 30)]
    assert told == [("fold 2", "float"), ("fold 2", "qat")]
    assert 0 <= trials[0].hardware_accuracy <= 1
    assert trials[0].weight_bits == 6 * trials[0].nonzero


def test_seeds(data):
    trials = list(repeat(CARD, data, (3, 4)))
    assert [one.name for one in trials] == ["seed 3", "seed 4"]
    assert summarize(trials)["float"].trials == 2


def test_summary():
    trials = [Trial("a", 0.98, 0.96, 1, 1, 9), Trial("b", 0.96, 0.96, 1, 1, 9)]
    found = summarize(trials)
    assert found["float"] == Spread(pytest.approx(0.97), pytest.approx(0.014142, rel=1e-4), 2)
    assert str(found["float"]) == "97.00% ± 1.41%"
    assert summarize(trials[:1])["hardware"] == Spread(0.96, 0.0, 1)
    with pytest.raises(DataError) as caught:
        summarize([])
    assert str(caught.value) == "there must be at least one trial to summarize"
