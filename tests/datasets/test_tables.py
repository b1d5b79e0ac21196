"""Tables as data: features by name, normalization, what is refused."""

import numpy as np
import pytest

from fpgaml.card.sections import Data, Normalize
from fpgaml.card.toml import card_of
from fpgaml.datasets.dataset import load
from fpgaml.datasets.sources import load_data
from fpgaml.errors import ConfigError, DataError
from fpgaml.ir.fixed import FixedPoint
from tests.datasets.test_dataset import NUMBERED


def write_csv(path, rows):
    path.write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n")
    return path


HITS = [("x", "label", "y"), *((n, n % 2, 10 - n / 4) for n in range(20))]


def test_tables_are_normalized_by_feature(tmp_path):
    write_csv(tmp_path / "hits.csv", HITS)
    found = load("hits.csv", tmp_path)
    assert (found.x_train.shape, found.x_test.shape, found.shape) == ((16, 2), (4, 2), (2,))
    assert found.input_type == FixedPoint(8, 0, signed=False)
    np.testing.assert_array_equal(np.bincount(found.y_test), [2, 2])
    assert (found.x_train.min(axis=0).tolist(), found.x_train.max(axis=0).tolist()) == ([0, 0], [255, 255])
    steps = found.encoding
    assert steps.names == ("x", "y")
    np.testing.assert_array_equal(steps.codes([[steps.offset[0] + 100 / steps.scale[0], -99]]), [[100, 0]])
    assert load("hits.csv", tmp_path).digest == found.digest
    assert load("hits.csv", tmp_path, Data(seed=1)).digest != found.digest


def test_tables_by_sample(tmp_path):
    write_csv(tmp_path / "a.csv", [("a", "b", "c", "label"), *((1, 3, 5, n % 2) for n in range(10))])
    found = load("a.csv", tmp_path, Data(normalize=Normalize.SAMPLE, bits=4))
    assert found.x_train[0].tolist() == [0, 8, 15]  # 7.5 is rounded to even
    assert found.input_type == FixedPoint(4, 0, signed=False)


def test_tables_as_they_are(tmp_path):
    write_csv(tmp_path / "hits.csv", HITS)
    found = load("hits.csv", tmp_path, Data(normalize=Normalize.NONE))
    assert found.input_type == FixedPoint(7, 5, signed=False)  # 0 to 19 in steps of 1/4
    assert set(found.values(found.x_test)[:, 0]) <= set(range(20))
    with pytest.raises(DataError) as caught:
        found.encode([[1, 0.1]])
    assert str(caught.value) == (
        "values must be multiples of 0.25 from 0 to 31.75, the grid of the training set: row 0, 'y' is 0.1"
    )
    write_csv(tmp_path / "fine.csv", [("x", "label"), *((n / 3, n % 2) for n in range(10))])
    with pytest.raises(DataError, match=r"values need .* bits to be exact, more than"):
        load("fine.csv", tmp_path, Data(normalize=Normalize.NONE))


BAD_TABLES = [
    ([], " must have a row of column names and rows of numbers; it has 0 row(s)"),
    ([("x", "label"), (1, 0), ("two", 1)], ", row 3, column 'x' must be a number, not 'two'"),
    ([("x", "label"), ("nan", 0), (2, 1)], ", row 2, column 'x' must be a finite number, not 'nan'"),
    ([("x", "label"), (1, 0), ("", 1)], ", row 3, column 'x' must be a number, not ''"),
    (
        [("x", "label"), ("1e308", 0), (2, 1)],
        ", row 2, column 'x' must be a number of at most 1e+100 in size, not '1e308'",
    ),
    ([("x", "label"), (1, 0.5), (2, 1)], ", row 2, column 'label' must be a whole number, the class, not '0.5'"),
    ([("x", "label"), (1, 0), (2, "1e99")], ", row 3, column 'label' must be a whole number, the class, not '1e99'"),
    ([("x", "label"), (1, "nan"), (2, 1)], ", row 2, column 'label' must be a finite number, not 'nan'"),
    ([("x", "label", "label"), (1, 0, 0)], " must have columns of different names; 'label' is there 2 times"),
    ([("x", "label"), (1, 0, 3), (2, 1)], ", row 2 must have 2 columns, not 3"),
    ([("label",), (1,), (0,)], " must have at least one column beside 'label'"),
    ([("x", "label"), (1, 1), (2, 2)], ": labels must start at 0, not 1; " + NUMBERED),
    ([("x", "label"), (1, 0), (2, 0), (3, 1)], ": class 1 must have samples to train and to test, but has 1"),
]


@pytest.mark.parametrize(("rows", "message"), BAD_TABLES, ids=[message for _, message in BAD_TABLES])
def test_bad_tables(tmp_path, rows, message):
    path = write_csv(tmp_path / "bad.csv", rows)
    with pytest.raises(DataError) as caught:
        load("bad.csv", tmp_path)
    assert str(caught.value) == f"{path}{message}"


def test_a_table_without_the_label_column(tmp_path):
    path = write_csv(tmp_path / "hits.csv", HITS)
    with pytest.raises(ConfigError) as caught:
        load("hits.csv", tmp_path, Data(label="labels"))
    assert str(caught.value) == f"data.label: {path} has no column 'labels'; did you mean 'label'?"


def test_words_can_be_chosen_as_classes(tmp_path):
    write_csv(tmp_path / "w.csv", [("x", "label"), *((n, "abc"[n % 3]) for n in range(30))])
    found = load_data(card_of({"data": {"source": "w.csv", "classes": ["c", "a"]}}, folder=tmp_path))
    assert (found.names, found.y_test.tolist()) == (("c", "a"), [1, 0, 0, 1])


def test_columns_can_be_chosen_as_features(tmp_path):
    """In the order given; what else the table has, words among it, is not read."""
    rows = [("id", "a", "when", "b", "label"), *((n, n % 5, "noon", 10 * n, n % 2) for n in range(20))]
    path = write_csv(tmp_path / "t.csv", rows)
    found = load("t.csv", tmp_path, Data(features=("b", "a"), normalize=Normalize.NONE))
    assert found.encoding.names == ("b", "a")
    whole = np.array([(10 * n, n % 5) for n in range(20)])
    assert {tuple(row) for row in found.x_train.tolist() + found.x_test.tolist()} == set(map(tuple, whole.tolist()))
    for features, message in {
        ("b", "whenn"): f"data.features: {path} has no column 'whenn'; did you mean 'when'?",
        ("b", "label"): f"data.features: {path} has the classes in column 'label', which cannot be a feature too",
    }.items():
        with pytest.raises(ConfigError) as caught:
            load("t.csv", tmp_path, Data(features=features))
        assert str(caught.value) == message
