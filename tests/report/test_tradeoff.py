"""Points of a folder of runs: which are taken, how they are grouped, what is left out and why."""

import json

import pytest

from fpgaml.card.runcard import TRAINED
from fpgaml.card.toml import card_of, to_toml
from fpgaml.errors import ConfigError, FormatError
from fpgaml.report.tradeoff import Point, float_weights, gather, group_of, marks, to_json

SMALL = {"layers": [{"kind": "flatten"}, {"kind": "dense", "units": 10, "activation": "softmax"}]}  # 7,840 weights


def card(name, **changes):
    return card_of({"name": name, "model": SMALL} | changes)


def stage(name, accuracy, nonzero, bits):
    return {"stage": name, "accuracy": accuracy, "weights": 7840, "nonzero": nonzero, "weight_bits": bits * nonzero}


def trial(name, accuracy, nonzero):
    return {
        "name": name, "float_accuracy": accuracy + 0.01, "hardware_accuracy": accuracy, "nonzero": nonzero,
        "weight_bits": 6 * nonzero, "images": 100, "unlike": None,
    }  # fmt: skip


def trials(own, *rows):
    return {"card": own.model_dump(mode="json", include=set(TRAINED)), "folds": 0, "trials": list(rows)}


@pytest.fixture
def runs(tmp_path):
    """Return a function that lays down a run as the commands leave it."""

    def lay(own, *, steps=("train", "quantize"), **files):
        folder = tmp_path / own.name
        (folder / "search").mkdir(parents=True)
        (folder / "card.toml").write_text(to_toml(own))
        (folder / "run.json").write_text(json.dumps({"fpgaml": 1, "name": own.name, "steps": dict.fromkeys(steps)}))
        for name, record in files.items():
            place = folder / ("search" if name.startswith("w") else "") / f"{name}.json"
            place.write_text(record if isinstance(record, str) else json.dumps(record))
        return tmp_path

    return lay


def test_a_run_is_a_float_point_and_its_result(runs):
    folder = runs(card("a"), stages=[stage("float", 0.9, 7840, 32), stage("qat", 0.89, 7000, 6)])
    assert gather(folder).points == (
        Point("float", "a", "mnist", 0.9, 7840, 32 * 7840),
        Point("QAT", "a", "mnist", 0.89, 7000, 42_000),
    )


@pytest.mark.parametrize(
    ("compress", "teacher", "group"),
    [
        (["qat"], "", "QAT"),
        (["prune", "qat"], "", "QAT"),
        (["qap"], "", "QAP"),
        (["distill", "qap"], "", "QAP"),  # its own teacher
        (["distill", "qat"], "big.toml", "distilled"),
        (["distill", "qap"], "big.keras", "distilled"),
        (["qat"], "big.toml", "QAT"),  # a teacher that nobody listens to
    ],
)
def test_groups(compress, teacher, group):
    assert group_of(card("a", compress=compress, compression={"teacher": teacher})) == group


def test_the_mean_of_seeds_goes_before_one_training(runs):
    own = card("a")
    folder = runs(
        own,
        stages=[stage("float", 0.5, 7840, 32), stage("qat", 0.5, 7000, 6)],
        seeds=trials(own, trial("seed 0", 0.80, 100), trial("seed 1", 0.82, 103)),
        folds=trials(own, trial("fold 1", 0.3, 1)),
    )
    points = gather(folder).points
    assert [(p.group, p.of, p.trainings) for p in points] == [(g, "mean of 2 seeds", 2) for g in ("float", "QAT")]
    assert [p.accuracy for p in points] == pytest.approx([0.82, 0.81])
    assert [p.deviation for p in points] == pytest.approx([0.02**0.5 / 10] * 2)
    assert [(p.nonzero, p.weight_bits) for p in points] == [(7840, 32 * 7840), (102, 609)]


def test_trials_alone_take_the_size_of_the_float_network_from_the_card(runs):
    own = card("a")
    points = gather(runs(own, folds=trials(own, trial("fold 1", 0.8, 100)))).points
    assert points == (
        Point("float", "a", "mnist", 0.81, 7840, 32 * 7840, "mean of 1 fold"),
        Point("QAT", "a", "mnist", 0.8, 100, 600, "mean of 1 fold"),
    )
    assert float_weights(card("a", compress=["svd", "qat"])) == (7840, 32 * 7840)
    assert float_weights(card("a", data={"source": "my.npz"})) is None
    own = card("b", data={"source": "my.npz"})
    found = gather(runs(own, seeds=trials(own, trial("seed 0", 0.8, 100))))
    assert [(p.run, p.group) for p in found.points if p.run == "b"] == [("b", "QAT")]
    assert found.left_out == ("b: the size of its float network is unknown; fpgaml run CARD --to quantize tells it",)


def test_searched_points(runs):
    point = {
        "name": "w4_s900",
        "validation_accuracy": 0.9,
        "accuracy": 0.88,
        "nonzero": 5,
        "weight_bits": 20,
        "card": "",
    }
    assert gather(runs(card("a"), w4_s900=point)).points == (Point("searched", "a/w4_s900", "mnist", 0.88, 5, 20),)


def test_one_float_network_is_one_point(runs):
    stages = [stage("float", 0.9, 7840, 32), stage("qat", 0.89, 7000, 6)]
    runs(card("a_longer"), stages=stages)
    runs(card("a", quantization={"weight_bits": 4}), stages=stages)
    own = card("other", training={"seed": 7})
    folder = runs(own, stages=stages)
    assert [p.run for p in gather(folder).points if p.group == "float"] == ["a", "other"]


def test_what_is_left_out_is_said(runs):
    stages = [stage("float", 0.9, 7840, 32), stage("qat", 0.89, 7000, 6)]
    runs(card("a"), stages=stages)
    runs(card("a_fast"), stages=stages)
    runs(card("b", compress=["qap"]), stages=stages, seeds=trials(card("b"), trial("seed 0", 0.8, 100)))
    runs(card("c", training={"seed": 3}), stages=[stages[0], stage("qat", 0.1, 0, 6)])
    folder = runs(card("d"), steps=["train"], stages=stages)  # stopped while it was quantized again
    (folder / "no_run").mkdir()
    found = gather(folder)
    assert {p.run for p in found.points} == {"a", "c"}
    assert found.left_out == (
        "a_fast: a fast run, whose accuracy is not its card's",
        "b: stages.json is of an earlier version of its card; make it anew",
        "b: seeds.json is of an earlier version of its card; make it anew",
        "c: c, QAT: all its weights are zero",
        "d: stages.json is of an earlier version of its card; make it anew",
    )
    record = json.loads(to_json(found))
    assert record["left_out"] == list(found.left_out)
    assert [(row["group"], row["run"], row["on_front"]) for row in record["points"]] == [
        ("float", "a", True), ("float", "c", True), ("QAT", "a", True),
    ]  # fmt: skip


def test_sets_of_data_are_not_compared(runs):
    stages = [stage("float", 0.9, 7840, 32), stage("qat", 0.95, 7000, 6)]
    runs(card("a"), stages=stages)
    folder = runs(card("b", data={"classes": [1, 9]}), stages=[stages[0], stage("qat", 0.5, 6000, 6)])
    found = gather(folder)
    assert [(p.data, p.group) for p in found.front] == [
        ("mnist", "QAT"), ("mnist, classes 1, 9", "float"), ("mnist, classes 1, 9", "QAT"),
    ]  # fmt: skip


def test_no_points(runs, tmp_path):
    folder = runs(card("a_fast"), stages=[stage("float", 0.9, 7840, 32), stage("qat", 0.95, 7000, 6)])
    runs(card("a"))
    with pytest.raises(ConfigError) as caught:
        gather(folder)
    assert str(caught.value) == (
        f"{folder} must have a run with an accuracy to show; make some with fpgaml run CARD, fpgaml trials CARD "
        "--seeds 5 or fpgaml search CARD\nleft out: a_fast: a fast run, whose accuracy is not its card's"
    )
    with pytest.raises(ConfigError) as caught:
        gather(tmp_path / "gone")
    assert str(caught.value) == (
        f"folder of runs {tmp_path / 'gone'} does not exist; name the one that fpgaml run writes to"
    )


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("stages", "[{}]", "KeyError('stage')"),
        ("seeds", "[", "JSONDecodeError('Expecting value: line 1 column 2 (char 1)')"),
        ("w1_s0", '{"name": "w1", "accuracy": "x"}', "ValueError(\"could not convert string to float: 'x'\")"),
    ],
)
def test_damaged_files(runs, name, text, reason):
    folder = runs(card("a"), **{name: text})
    path = folder / "a" / ("search" if name.startswith("w") else "") / f"{name}.json"
    with pytest.raises(FormatError) as caught:
        gather(folder)
    assert str(caught.value) == f"{path} must be as fpgaml wrote it, but is not: {reason}; remove it"


def test_short_names():
    def point(group, run, data="mnist"):
        return Point(group, run, data, 0.9, 1, 1)

    names = ("mnist_mlp", "mnist_mlp_8k", "mnist_cnn")
    assert [mark["label"] for mark in marks([point("QAT", name) for name in names])] == ["mlp", "mlp_8k", "cnn"]
    assert [mark["label"] for mark in marks([point("QAT", "mnist_mlp"), point("searched", "mnist_mlp/w4")])] == [
        "mnist_mlp", "",
    ]  # fmt: skip
    assert [mark["label"] for mark in marks([point("QAT", "a"), point("QAT", "a_b"), point("QAT", "f_x", "f")])] == [
        "a", "a_b", "f_x",
    ]  # fmt: skip
