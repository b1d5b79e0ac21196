"""A first card for data of one's own: what is guessed, what is asked, and that the card is one that works."""

import json
import tomllib

import numpy as np
import pytest

from fpgaml.card.toml import card_of, load_card
from fpgaml.card.untrained import skeleton
from fpgaml.datasets.first_card import first_card
from fpgaml.datasets.sources import load_data
from fpgaml.errors import ConfigError, DataError
from tests.commands import command
from tests.datasets.test_dataset import idx
from tests.datasets.test_tables import write_csv

RNG = np.random.default_rng(0)
KINDS = ("gamma", "neutron", "muon")
HITS = [
    ("event", "charge", "run", "width", "kind"),
    *((n, n * n, "A7", "" if n == 4 else n / 3, KINDS[n % 3]) for n in range(60)),
]


def made(path, **keys):
    """Return the first card of a file, the table it is, and what the card says when it is read again."""
    found = first_card(path, path.parent, **keys)
    table = tomllib.loads(found.text)
    card = card_of(table, folder=path.parent)
    data = load_data(card)
    assert (data.digest, data.input_type) == (found.data.digest, found.data.input_type)
    assert skeleton(card, data.shape) is not None
    return found, table


def refusal(error, path, **keys):
    with pytest.raises(error) as caught:
        first_card(path, path.parent, **keys)
    return str(caught.value).replace(str(path), path.name)


def test_a_table_with_semicolons_words_and_holes(tmp_path):
    path = tmp_path / "hits.csv"
    path.write_text("\n".join(";".join(map(str, row)) for row in HITS), encoding="utf-8")
    found, table = made(path)
    assert table["data"] == {
        "source": "hits.csv", "label": "kind", "features": ["charge"], "normalize": "standard",
    }  # fmt: skip
    assert found.guesses == (
        "column 'kind' holds the classes: by its name",
        "column 'event' is no feature: it numbers the rows",
        "column 'run' is no feature: it holds words",
        "column 'width' is no feature: it has 1 missing value",
    )
    assert found.data.names == ("gamma", "muon", "neutron")
    assert found.text.startswith(
        "# hits.csv: 60 samples of 1 values\n# 3 classes: gamma (20), muon (20), neutron (20)\n"
    )
    assert table["model"]["layers"][-1] == {"kind": "dense", "units": 3, "activation": "softmax", "name": "logits"}


def test_features_keep_the_order_of_the_table(tmp_path):
    rows = [("z", "run", "a", "label", "m"), *((n * n, "A7", n % 7, n % 2, n / 3) for n in range(40))]
    found, table = made(write_csv(tmp_path / "a.csv", rows))
    assert table["data"]["features"] == ["z", "a", "m"]
    assert found.data.encoding.names == ("z", "a", "m")


LABELLED = {
    "by name": (("a", "Target", "b"), lambda n: (n * n, n % 2, n % 7), "Target", "by its name"),
    "the likeliest name": (("type", "label", "b"), lambda n: (n % 3, n % 2, n % 7), "label", "by its name"),
    "words": (("a", "hit", "b"), lambda n: (n * n, "xy"[n % 2], n % 7), "hit", "the only one of words"),
    "the last": (("a", "b", "c"), lambda n: (n * n, n % 7, n % 2), "c", "the last one, of 2 different numbers"),
}


@pytest.mark.parametrize("kind", LABELLED)
def test_the_column_of_the_classes_is_guessed(tmp_path, kind):
    names, row, column, reason = LABELLED[kind]
    found, table = made(write_csv(tmp_path / "a.csv", [names, *map(row, range(40))]))
    assert table["data"]["label"] == column
    assert found.guesses[0] == f"column {column!r} holds the classes: {reason}"


def test_the_column_of_the_classes_is_taken_or_asked_for(tmp_path):
    path = write_csv(tmp_path / "a.csv", [("a", "b", "c"), *((n * n, n % 2, n / 7) for n in range(40))])
    asked = "a.csv: which column holds the classes? Say it with --label: a, b, c"
    assert refusal(ConfigError, path) == asked
    found, table = made(path, label="b")
    assert (table["data"]["label"], found.guesses) == ("b", ())
    assert refusal(ConfigError, path, label="d") == "--label: a.csv has no column 'd'; it has a, b, c"


TABLES = {
    "no class": ([("a", "label"), (1, 0), (4, ""), (2, 1), (3, 0)],
                 "a.csv: 1 rows have no class in column 'label'; fill or remove them"),
    "many classes": ([("a", "label"), *((n * n, n * n) for n in range(120))],
                     "a.csv: column 'label' has 120 different numbers, too many for classes; name another with "
                     "--label"),
    "no feature": ([("a", "b", "label"), *((n, "z", n % 2) for n in range(20))],
                   "a.csv has no column to learn from: 'a' numbers the rows; 'b' holds words"),
    "alone": ([("label",), *((n % 2,) for n in range(20))],
              "a.csv has no column to learn from: there is no other column"),
}  # fmt: skip


@pytest.mark.parametrize("kind", TABLES)
def test_tables_that_cannot_be_learned_from(tmp_path, kind):
    rows, message = TABLES[kind]
    assert refusal(DataError, write_csv(tmp_path / "a.csv", rows)) == message


def test_labels_that_do_not_count_from_0_become_names(tmp_path):
    rows = [("a", "b", "pdg"), *((n * n, n % 5, (11, -11, 211)[n % 3]) for n in range(60))]
    found, table = made(write_csv(tmp_path / "a.csv", rows))
    assert (table["data"]["classes"], found.data.names) == ([-11, 11, 211], ("-11", "11", "211"))
    assert found.guesses[1] == "the labels -11, 11, 211 do not count from 0; they are the classes' names"


ARRAYS = {
    "pixels": (RNG.integers(0, 256, (60, 8, 9), np.uint8), {}, (), "flatten"),
    "real table": (RNG.normal(0, 5, (60, 4)), {"normalize": "standard"},
                   ("each value is brought to 8 bits by its mean and standard deviation",), "dense"),
    "real images": (RNG.random((60, 8, 9, 1)), {"input_type": "ufixed<8,0>"},
                    ("values from 0 to 1 are rounded to multiples of 1/256",), "flatten"),
    "real series": (RNG.normal(0, 5, (60, 30, 2)), {"normalize": "standard"},
                    ("each value is brought to 8 bits by its mean and standard deviation",), "conv1d"),
    "grey images of real numbers": (RNG.normal(0, 5, (60, 40, 40)), {"normalize": "standard", "shape": [40, 40, 1]},
                                    ("each value is brought to 8 bits by its mean and standard deviation",
                                     "samples of shape (40, 40) are grey images"), "conv2d"),
    "integers": (np.arange(240).reshape(60, 4) - 100, {"input_type": "fixed<9,1>"},
                 ("integers are codes of fixed<9,1>, values below 1",), "dense"),
    "wide integers": (np.arange(240).reshape(60, 4) << 12, {"input_type": "ufixed<16,0>", "input_scale": "1/1048576"},
                      ("integers of 20 bits are scaled by 1/1048576 to codes of ufixed<16,0>",), "dense"),
    "colours": (RNG.integers(0, 256, (60, 32, 32, 3), np.uint8), {}, (), "conv2d"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_get_a_grid_and_a_network_that_fit(tmp_path, kind):
    x, keys, guesses, first = ARRAYS[kind]
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(60) % 3)
    found, table = made(tmp_path / "a.npz")
    assert table["data"] == {"source": "a.npz"} | keys
    assert (found.guesses, table["model"]["layers"][0]["kind"]) == (guesses, first)
    assert table["design"]["io_type"] == ("io_stream" if first.startswith("conv") else "io_parallel")


def test_the_array_or_file_of_the_labels_is_guessed_or_asked_for(tmp_path):
    x, y = ARRAYS["pixels"][0], np.arange(60) % 3
    np.savez(tmp_path / "a.npz", x=x, kind=y)
    found, table = made(tmp_path / "a.npz")
    assert (table["data"]["label"], found.guesses) == (
        "kind", ("array 'kind' holds the labels: the only one of one axis",)
    )  # fmt: skip
    np.savez(tmp_path / "b.npz", x=x, kind=y, run=y)
    held = "it holds x (60, 8, 9), kind (60,), run (60,)"
    assert refusal(ConfigError, tmp_path / "b.npz") == (
        f"b.npz: which array holds the labels? Say it with --label; {held}"
    )
    np.save(tmp_path / "c.npy", x)
    assert refusal(ConfigError, tmp_path / "c.npy") == (
        "c.npy: which file holds the labels? Say it with --label, e.g. --label c_labels.npy"
    )
    np.save(tmp_path / "c_labels.npy", y)
    found, table = made(tmp_path / "c.npy")
    assert (table["data"]["label"], found.guesses) == (
        "c_labels.npy", ("c_labels.npy beside it holds the labels: by its name",)
    )  # fmt: skip
    np.savez(tmp_path / "d.npz", x_test=x, y_test=y)
    assert refusal(DataError, tmp_path / "d.npz") == (
        "d.npz holds samples to test with alone; to learn from it must have x_train and y_train"
    )


def test_idx_files_bring_their_test_images(tmp_path):
    for stem, count in {"train": 60, "t10k": 20}.items():
        (tmp_path / f"{stem}-images-idx3-ubyte").write_bytes(idx(RNG.integers(0, 256, (count, 6, 6), np.uint8)))
        (tmp_path / f"{stem}-labels-idx1-ubyte").write_bytes(idx((np.arange(count) % 3).astype(np.uint8)))
    found, table = made(tmp_path / "train-images-idx3-ubyte")
    assert table["data"] == {"source": "train-images-idx3-ubyte", "test": "t10k-images-idx3-ubyte"}
    assert found.guesses == ("t10k-images-idx3-ubyte beside it is to test with",)
    assert len(found.data.x_test) == 20


def test_rare_classes_count_more_and_few_samples_train_longer(tmp_path):
    x = RNG.integers(0, 256, (400, 6), np.uint8)
    np.savez(tmp_path / "a.npz", x=x, y=(np.arange(400) % 5 == 0).astype(int))
    found, table = made(tmp_path / "a.npz")
    assert table["training"] == {"epochs": 200, "class_weights": "balanced"}
    assert found.guesses == (
        "class 0 has 4.0 times the samples of 1: each class counts the same in training",
    )  # fmt: skip
    x = RNG.integers(0, 256, (20_000, 2), np.uint8)
    np.savez(tmp_path / "b.npz", x=x, y=np.arange(20_000) % 2)
    assert made(tmp_path / "b.npz")[1]["training"] == {"epochs": 16}


def test_the_design_fits_the_board_that_is_named(tmp_path):
    np.savez(tmp_path / "a.npz", x=RNG.integers(0, 256, (40, 28, 28), np.uint8), y=np.arange(40) % 2)
    small, large = (made(tmp_path / "a.npz", board=board)[1]["design"] for board in ("pynq-z2", "zcu102"))
    assert (small["board"], large["board"]) == ("pynq-z2", "zcu102")
    assert small["layers"]["fc1"]["reuse_factor"] > large.get("layers", {}).get("fc1", {}).get("reuse_factor", 1)


def test_the_command_writes_a_card_that_finds_its_data_from_anywhere(tmp_path, monkeypatch, capsys):
    (tmp_path / "data").mkdir()
    (tmp_path / "cards").mkdir()
    write_csv(tmp_path / "data/my hits.csv", HITS)
    monkeypatch.chdir(tmp_path)
    words = ("new", "data/my hits.csv", "-o", "cards/first.toml")
    assert command(monkeypatch, *words) == 0
    out = capsys.readouterr().out
    assert "guessed: column 'kind' holds the classes: by its name\n" in out
    assert "fpgaml data cards/first.toml" in out
    monkeypatch.chdir("/")
    card = load_card(tmp_path / "cards/first.toml")
    assert (card.data.source, card.name, len(load_data(card).x_test)) == ("../data/my hits.csv", "my_hits", 12)
    monkeypatch.chdir(tmp_path)
    assert command(monkeypatch, *words) == 2
    assert capsys.readouterr().err == (
        "error: cards/first.toml exists already; write another with --output, or over it with --force\n"
    )
    assert command(monkeypatch, *words, "--force", "--name", "other", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["card"], record["name"], record["classes"]) == (
        "cards/first.toml", "other", ["gamma", "muon", "neutron"],
    )  # fmt: skip
    assert len(record["guesses"]) == 4
    for words, message in {
        ("new", "gone.csv"): "gone.csv does not exist; name a file or folder of data, or mnist, fashion_mnist, cifar10",
        ("new", "cards/first.toml"): "cards/first.toml is a card already: fpgaml run cards/first.toml",
        ("new", "mnist", "-o", "none/a.toml"): "folder none of the card none/a.toml does not exist",
    }.items():
        assert command(monkeypatch, *words) == 2
        assert capsys.readouterr().err == f"error: {message}\n"
