"""The search's choices, and one run of it on a tiny network that stops and goes on."""

import tomllib

import keras
import numpy as np
import pytest

from fpgaml.card.changes import changed
from fpgaml.card.toml import card_of
from fpgaml.datasets.dataset import images
from fpgaml.errors import ConfigError, FormatError, UnsupportedLayer
from fpgaml.training.build import build
from fpgaml.training.search import Candidate, Found, TrainedPoint, candidates, choose, search

CARD = card_of({
    "name": "tiny",
    "model": {"layers": [{"kind": "flatten"}, {"kind": "dense", "units": 4, "activation": "relu"},
                         {"kind": "dense", "units": 2, "activation": "softmax"}]},
    "training": {"epochs": 1, "batch": 10},
})  # fmt: skip


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 100, (60, 4, 4), np.uint8), (np.arange(60) % 2).astype(np.uint8)
    x[y == 1, :, :2] += 120
    return images({"x_train": x, "y_train": y, "x_test": x[:40], "y_test": y[:40]}, "here")


def point(name, bits, accuracy):
    return TrainedPoint(name, accuracy, accuracy, bits, bits, "")


def test_widths_fall_first_where_it_costs_least(data):
    model = build(CARD.model, data.shape)
    free = dict.fromkeys((2, 3, 4, 5, 6, 8), 0.0)
    plan = candidates(model, {"fc1": free, "fc2": {width: 0.5 / width for width in free}})
    walk = list(dict.fromkeys(candidate.bits for candidate in plan))
    assert walk[0] == (("fc1", 8), ("fc2", 8))
    assert walk[5] == (("fc1", 2), ("fc2", 8))  # the layer that loses nothing, all the way
    assert walk[-1] == (("fc1", 2), ("fc2", 2))
    assert plan[0].cost == 8 * (16 * 4 + 4 * 2)
    assert plan[0].name == "w88_s000"


def test_the_widest_gap_is_next():
    plan = tuple(Candidate((("a", 2),), n / 100, cost) for n, cost in enumerate((1000, 100, 30, 10)))
    assert choose(plan, {}).cost == 1000
    done = {plan[0].name: point("", 1000, 0.98)}
    assert choose(plan, done).cost == 10
    done[plan[3].name] = point("", 10, 0.96)
    assert choose(plan, done).cost == 100
    done["low"] = point("", 200, 0.5)  # below the accuracy of interest: nothing cheaper is tried
    assert choose(plan, done) is None


def test_nothing_dearer_than_what_is_as_good_as_the_best():
    plan = tuple(Candidate((("a", 2),), n / 100, cost) for n, cost in enumerate((1000, 900, 300, 90)))
    done = {plan[0].name: point("", 1000, 0.980), "low": point("", 100, 0.90)}
    assert choose(plan, done).cost == 300
    done[plan[2].name] = point("", 300, 0.9791)
    assert choose(plan, done) is None  # 900 would buy at most a thousandth
    done[plan[2].name] = point("", 300, 0.9789)
    assert choose(plan, done).cost == 900


def test_the_front():
    found = Found((point("a", 10, 0.9), point("b", 20, 0.8), point("c", 30, 0.95)))
    assert [one.name for one in found.front] == ["a", "c"]


def test_a_search_goes_on_where_it_was(data, tmp_path, monkeypatch):
    from fpgaml.training import search as module

    monkeypatch.setattr(module, "EPOCHS", 1)
    monkeypatch.setattr(module, "LEAST", 0.0)
    model = build(CARD.model, data.shape)
    before = [weights.copy() for weights in model.get_weights()]
    said = []
    first = search(CARD, model, data, tmp_path, points=1, progress=said.append)
    assert [one.name for one in first.points] == ["w88_s000"]
    again = search(CARD, model, data, tmp_path, points=2)
    assert len(again.points) == 2
    assert first.points[0] in again.points
    assert all(map(np.array_equal, before, model.get_weights()))
    card = card_of(tomllib.loads((tmp_path / "w88_s000.toml").read_text()))
    assert card.name == "tiny_w88_s000"
    assert card.quantization.of("fc1").weight_bits == 8
    assert said[0] == "measuring how few bits each layer can bear"
    (tmp_path / "w11_s000.json").write_text("{}")
    with pytest.raises(FormatError, match=r"w11_s000\.json is not a point of a search: "):
        search(CARD, model, data, tmp_path, points=1)
    (tmp_path / "w11_s000.json").unlink()
    other = changed(CARD, {"training": {"epochs": 2}})
    path = sorted(tmp_path.glob("w*.json"))[0]
    with pytest.raises(FormatError) as caught:
        search(other, model, data, tmp_path, points=1)
    assert str(caught.value) == (
        f"{path} is a point of another search: its [training] is not that of card 'tiny'; move {tmp_path} away, and "
        "search anew"
    )


def test_a_search_without_time_or_points(data, tmp_path):
    model = build(CARD.model, data.shape)
    for given in ({"points": 0}, {"minutes": 0}):
        with pytest.raises(ConfigError) as caught:
            search(CARD, model, data, tmp_path, **given)
        minutes, points = given.get("minutes", 60), given.get("points", 24)
        assert str(caught.value) == (
            f"search trained no point in {minutes} minutes and {points} points; give it more of both"
        )


def test_a_layer_without_a_quantized_form(data, tmp_path):
    image = keras.Input(data.shape)
    norm = keras.layers.LayerNormalization(name="ln")(keras.layers.Flatten()(image))
    with pytest.raises(UnsupportedLayer) as caught:
        search(CARD, keras.Model(image, keras.layers.Dense(2)(norm)), data, tmp_path)
    assert str(caught.value) == "layer 'ln': a LayerNormalization has no quantized form in fpgaml"
