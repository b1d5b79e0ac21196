"""What the commands profile, quantize and sweep work on, and the commands themselves, each in a process of its own."""

import json

import numpy as np
import pytest

from fpgaml.cli.show_precision import save_figures, whole_numbers
from fpgaml.datasets.dataset import Dataset
from fpgaml.errors import ConfigError, DataError
from fpgaml.exact.emulate import run
from fpgaml.ir.saving import save
from fpgaml.runs import subject as subjects
from fpgaml.runs.opener import open_subject
from tests import networks
from tests.cli.test_app import fpgaml


@pytest.fixture
def files(tmp_path):
    """A saved network and an .npz data set whose labels are what the network answers."""
    network = networks.cnn(name="small")
    codes = networks.codes_for(network, 60).astype(np.uint8)
    labels = run(network, codes).argmax(axis=1)
    save(network, tmp_path / "small.npz")
    np.savez(tmp_path / "data.npz", x_train=codes, y_train=labels, x_test=codes, y_test=labels)
    return tmp_path


def test_a_saved_network_is_a_subject(files):
    found = open_subject(files / "small.npz", str(files / "data.npz"))
    assert found.network == networks.cnn(name="small")
    assert found.test[0].shape == (60, 8, 8, 2)
    assert found.float_statistics() == {}


def test_images_take_the_shape_of_the_input():
    network = networks.mlp(sizes=(12, 4, 3))
    images = np.arange(24).reshape(2, 3, 4, 1)
    labels = np.array([0, 1])
    data = Dataset(images, labels, images, labels, network.input.type, ("0", "1"))
    assert subjects.Subject("n", data, network).test[0].tolist() == images.reshape(2, 12).tolist()
    bare = subjects.Subject("n", Dataset(images, labels[:0], images, labels[:0], network.input.type, ()), network)
    assert (bare.images.tolist(), bare.labels) == (images.reshape(2, 12).tolist(), None)
    with pytest.raises(DataError, match=r"^the images of 'n' have no labels to count right answers with; give --data$"):
        _ = bare.test


THINGS = "a run card (.toml), a run's folder, a saved network (.npz) or a Keras model (.keras, .h5)"


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("none.npz", DataError, f"does not exist; name {THINGS}"),
        ("text.txt", DataError, f"must be {THINGS}"),
        ("folder", DataError, "is no run of fpgaml; it has no run.json"),
        ("card.toml", ConfigError, "has no network yet; do its first steps: fpgaml run CARD --to quantize"),
    ],
)
def test_what_is_no_subject_is_refused(tmp_path, name, kind, message):
    (tmp_path / "text.txt").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "card.toml").write_text(f'[output]\nfolder = "{tmp_path}/runs"\n', encoding="utf-8")
    with pytest.raises(kind) as error:
        open_subject(tmp_path / name)
    assert str(error.value) == f"{tmp_path / name} {message}"


def test_data_of_another_shape_are_refused(files):
    with pytest.raises(DataError) as error:
        open_subject(files / "small.npz")
    assert str(error.value) == (
        "'small' takes images of shape (8, 8, 2), and the data are of shape (28, 28, 1); give the data that it was "
        "trained on"
    )


def test_a_quantized_network_is_not_quantized_again(files):
    subject = open_subject(files / "small.npz", str(files / "data.npz"))
    with pytest.raises(ConfigError) as error:
        subjects.quantize_model(subject)
    assert str(error.value) == "'small' is quantized already; post-training quantization takes a float model"


@pytest.mark.parametrize(("text", "numbers"), [("4:8:2", (4, 6, 8)), ("1:3", (1, 2, 3)), ("5", (5,)), ("8,4", (8, 4))])
def test_whole_numbers(text, numbers):
    assert whole_numbers(text, "--widths") == numbers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("four", "--widths must be written as first:last:step or as 4,6,8, not 'four'"),
        ("1:2:3:4", "--widths must be written as first:last:step or as 4,6,8, not '1:2:3:4'"),
        ("8:4", "--widths '8:4' names no number; the last must not be below the first"),
    ],
)
def test_no_whole_numbers_are_refused(text, message):
    with pytest.raises(ConfigError) as error:
        whole_numbers(text, "--widths")
    assert str(error.value) == message


def test_profile_prints_json_and_writes_figures(files):
    done = fpgaml(
        "profile", files / "small.npz", "--data", files / "data.npz", "--json", "--figures", files / "f",
        "--criterion", "unchanged",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert [t["name"] for t in record["profile"]["tensors"]][:2] == ["x", "c1.kernel"]
    assert "0 outputs change (as promised)" in record["recommendation"]
    names = ("accumulators", "bit_use", "overflow_map", "ranges")
    wanted = ["captions.md", *(f"{name}.{kind}" for name in names for kind in ("png", "svg"))]
    assert sorted(path.name for path in (files / "f").iterdir()) == sorted(wanted)


def test_profile_prints_a_table(files):
    done = fpgaml("profile", files / "small.npz", "--data", files / "data.npz")
    assert done.returncode == 0, done.stderr
    assert "ufixed<6,2>" in done.stdout
    assert "recommended types: weights " in done.stdout


def test_sweep_prints_json(files):
    done = fpgaml(
        "sweep", files / "small.npz", "--data", files / "data.npz", "--widths", "4,8", "--integers", "1:2", "--json"
    )
    assert done.returncode == 0, done.stderr
    points = json.loads(done.stdout)["sweep"]["points"]
    assert [(p["width"], p["integer"]) for p in points] == [(4, 1), (4, 2), (8, 1), (8, 2)]


def test_a_wrong_criterion_is_one_message(files):
    done = fpgaml("profile", files / "small.npz", "--criterion", "prooved")
    assert done.returncode == 2
    assert done.stderr == (
        "error: criterion must be one of unchanged, observed, share, proved, not 'prooved'; did you mean 'proved'?\n"
    )


def test_figures_are_saved_with_their_captions(tmp_path):
    from matplotlib.figure import Figure

    save_figures({"a": (Figure(), "What it shows.")}, tmp_path / "out")
    assert (tmp_path / "out" / "captions.md").read_text() == "![a](a.svg)\n\n*What it shows.*\n"
