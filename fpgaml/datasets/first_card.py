"""A first run card for data of one's own: it is looked at, the rest is guessed, and every guess is said.

made = first_card(Path("pulses.csv"), Path("cards"))
made.text        the card, with comments; `fpgaml run` takes it as it is
made.guesses     what was guessed, a sentence each
"""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fpgaml.card.changes import changed
from fpgaml.card.runcard import RunCard
from fpgaml.card.toml import card_of, inline
from fpgaml.card.untrained import skeleton
from fpgaml.datasets.dataset import NAMED, Dataset, is_one_hot
from fpgaml.datasets.files import LABELS, Samples, read, read_npz
from fpgaml.datasets.sources import load_data
from fpgaml.datasets.survey import Column, columns, is_table
from fpgaml.errors import ConfigError, DataError
from fpgaml.estimate import fit
from fpgaml.ir.fixed import Array, FixedPoint, smallest
from fpgaml.ir.network import identifier
from fpgaml.target.boards import find_board, find_part
from fpgaml.target.design import IoType

# What a column of classes may be called, the likeliest first.
CLASS_COLUMNS = (
    "label",
    "class",
    "target",
    "y",
    "labels",
    "classes",
    "species",
    "category",
    "particle",
    "kind",
    "type",
)
MOST_CLASSES = 100
FEW_VALUES = 20  # that a last column may have to be taken for the classes
SMALL_IMAGE = 1024  # values of an image that a dense layer takes; a larger one gets convolutions
UNBALANCED = 3  # times more samples than the rarest class has
STEPS = 3000  # of training, about: few samples need more epochs
EPOCHS = (16, 200)
MOST_BITS = 16  # of an integer that enters as it is
SERIES_CHANNELS = 16  # a last axis that is longer is one of an image

Keys = dict[str, Any]


@dataclass(frozen=True)
class FirstCard:
    """A card as text, its data, and what was guessed to write it."""

    name: str
    text: str
    data: Dataset
    guesses: tuple[str, ...]


def first_card(
    source: Path, folder: Path, *, name: str = "", label: str | None = None, test: str = "", board: str = ""
) -> FirstCard:
    """Return a card in `folder` for the data that `source` names: a file, a folder, or a set such as mnist.

    Raises: ConfigError if nobody can guess which column holds the classes; DataError if they cannot be learned from.
    """
    guesses: list[str] = []
    keys = _sources(source, folder, test, guesses)
    name = name or identifier(Path(source.name.removesuffix(".gz")).stem, "run")
    if str(source) not in NAMED:
        if source.suffix == ".toml":
            raise ConfigError(f"{source} is a card already: fpgaml run {source}")
        keys |= _table_keys(source, label, guesses) if is_table(source) else _array_keys(source, label, guesses)
    card = card_of({"name": name, "data": keys}, str(source), folder)
    data = load_data(card)
    if len(data.shape) == 2 and (data.shape[1] > SERIES_CHANNELS or data.shape[0] == data.shape[1]):
        keys["shape"] = [*data.shape, 1]
        guesses.append(f"samples of shape {data.shape} are grey images")
        card = changed(card, {"data": keys})
        data = load_data(card)
    layers = _layers(data)
    design = _design(card, data, layers, board, guesses)
    text = "\n".join(_lines(name, source, keys, layers, _training(data, guesses), design, data)) + "\n"
    skeleton(card_of(tomllib.loads(text), str(source), folder), data.shape)
    return FirstCard(name, text, data, tuple(guesses))


# --- [data] ---------------------------------------------------------------------------------------------------------


def _sources(source: Path, folder: Path, test: str, guesses: list[str]) -> Keys:
    """Return the files as a card in `folder` names them."""
    if str(source) in NAMED:
        return {"source": str(source)}
    if not source.exists():
        raise DataError(f"{source} does not exist; name a file or folder of data, or {', '.join(NAMED)}")
    named = {"source": source} | ({"test": Path(test)} if test else {})
    beside = source.with_name(source.name.replace("train", "t10k"))
    if "train" in source.name and "ubyte" in source.name and beside.is_file() and not test:
        named["test"] = beside
        guesses.append(f"{beside.name} beside it is to test with")
    start = folder.resolve()
    return {key: Path(os.path.relpath(path.resolve(), start)).as_posix() for key, path in named.items()}


def _table_keys(path: Path, label: str | None, guesses: list[str]) -> Keys:
    """Return the columns of a table as keys of [data]: the classes, and the features if some column is none."""
    found = columns(path)
    classes = _class_column(path, found, label, guesses)
    if not classes.words and classes.distinct > MOST_CLASSES:
        raise DataError(
            f"{path}: column {classes.name!r} has {classes.distinct:,} different numbers, too many for classes; name "
            "another with --label"
        )
    if classes.missing:
        raise DataError(f"{path}: {classes.missing} rows have no class in column {classes.name!r}; fill or remove them")
    left_out = {column.name: reason for column in found if column is not classes and (reason := _no_feature(column))}
    features = [column.name for column in found if column is not classes and column.name not in left_out]
    if not features:
        why = "; ".join(f"{name!r} {reason}" for name, reason in left_out.items()) or "there is no other column"
        raise DataError(f"{path} has no column to learn from: {why}")
    guesses += [f"column {name!r} is no feature: it {reason}" for name, reason in left_out.items()]
    keys: Keys = {"label": classes.name} | _numbered_keys(read(path, classes.name, features).tested, guesses)
    return keys | ({"features": features} if left_out else {}) | {"normalize": "standard"}


def _class_column(path: Path, found: Sequence[Column], label: str | None, guesses: list[str]) -> Column:
    """Return the column of classes: the one that is named, is called so, has the only words, or is the last."""
    if label is not None:
        if match := [column for column in found if column.name == label]:
            return match[0]
        raise ConfigError(f"--label: {path} has no column {label!r}; it has {', '.join(c.name for c in found)}")
    by_name = [column for word in CLASS_COLUMNS for column in found if column.name.casefold() == word]
    words = [column for column in found if column.words and 2 <= column.distinct <= MOST_CLASSES]
    last = found[-1]
    few = not last.words and 2 <= last.distinct <= FEW_VALUES and last.low is not None and last.low == int(last.low)
    for candidates, reason in (
        (by_name[:1], "by its name"),
        (words if len(words) == 1 else [], "the only one of words"),
        ([last] if few else [], f"the last one, of {last.distinct} different numbers"),
    ):
        if candidates:
            guesses.append(f"column {candidates[0].name!r} holds the classes: {reason}")
            return candidates[0]
    raise ConfigError(
        f"{path}: which column holds the classes? Say it with --label: {', '.join(column.name for column in found)}"
    )


def _numbered_keys(samples: Samples, guesses: list[str]) -> Keys:
    """Return data.classes for labels that are whole numbers and do not count 0, 1, ... without a gap."""
    labels = samples.labels
    if labels is None or labels.dtype.kind not in "iuf" or is_one_hot(labels):
        return {}
    known = np.unique(labels)
    if known.size > MOST_CLASSES or np.array_equal(known, np.arange(known.size)):
        return {}
    guesses.append(f"the labels {', '.join(map(str, known.tolist()))} do not count from 0; they are the classes' names")
    return {"classes": [int(one) for one in known]}


def _no_feature(column: Column) -> str:
    """Say why a column cannot be learned from; nothing if it can."""
    if column.words:
        return "holds words"
    if column.counts:
        return "numbers the rows"
    if column.missing:
        return f"has {column.missing:,} missing value{'s'[: column.missing != 1]}"
    return ""


def _array_keys(path: Path, label: str | None, guesses: list[str]) -> Keys:
    """Return the labels and the grid of arrays as keys of [data]."""
    keys: Keys = {} if label is None else {"label": label}
    if path.suffix == ".npz" and label is None:
        keys |= _label_array(path, guesses)
    if path.suffix == ".npy" and label is None:
        keys |= _label_beside(path, guesses)
    contents = read(path, keys.get("label"))
    if contents.train is None:
        raise DataError(f"{path} holds samples to test with alone; to learn from it must have x_train and y_train")
    return keys | _numbered_keys(contents.train, guesses) | _grid_keys(contents.train.values, guesses)


def _label_array(path: Path, guesses: list[str]) -> Keys:
    """Return the array of labels in an .npz file that has none of the usual name: the only one of one axis."""
    arrays = read_npz(path)
    if "y_train" in arrays or any(name in arrays for name in LABELS):
        return {}
    flat = [name for name, array in arrays.items() if array.ndim == 1 and len(array) > 1]
    if len(flat) != 1:
        held = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ConfigError(f"{path}: which array holds the labels? Say it with --label; it holds {held}")
    guesses.append(f"array {flat[0]!r} holds the labels: the only one of one axis")
    return {"label": flat[0]}


def _label_beside(path: Path, guesses: list[str]) -> Keys:
    """Return the file of labels beside an .npy file of samples, by its name."""
    stem = path.stem
    names = (f"{stem}_labels", f"{stem}_y", f"labels_{stem}", f"y_{stem}", stem.replace("x", "y", 1),
             stem.replace("images", "labels"), "labels", "y")  # fmt: skip
    found = [path.with_name(f"{name}.npy") for name in names if name != stem]
    for file in found:
        if file.is_file():
            guesses.append(f"{file.name} beside it holds the labels: by its name")
            return {"label": file.name}
    raise ConfigError(f"{path}: which file holds the labels? Say it with --label, e.g. --label {found[0].name}")


def _grid_keys(values: Array, guesses: list[str]) -> Keys:
    """Return how values that are no pixels become codes."""
    if values.dtype.kind in "iu" and values.dtype != np.uint8:
        kind = smallest(int(values.min()), int(values.max()), 0)
        if kind.width > MOST_BITS:
            narrow = FixedPoint(MOST_BITS, int(kind.signed), kind.signed)
            scale = f"1/{1 << (kind.width - kind.signed)}"
            guesses.append(f"integers of {kind.width} bits are scaled by {scale} to codes of {narrow}")
            return {"input_type": str(narrow), "input_scale": scale}
        stated = str(replace(kind, integer=int(kind.signed)))
        guesses.append(f"integers are codes of {stated}, values below 1")
        return {"input_type": stated}
    if values.dtype.kind != "f":
        return {}
    if values.ndim > 2 and values.min() >= 0 and values.max() <= 1:
        guesses.append("values from 0 to 1 are rounded to multiples of 1/256")
        return {"input_type": "ufixed<8,0>"}
    guesses.append("each value is brought to 8 bits by its mean and standard deviation")
    return {"normalize": "standard"}


# --- the rest -------------------------------------------------------------------------------------------------------


def _layers(data: Dataset) -> list[Keys]:
    """Return the layers of a small network for samples of a shape."""
    shape, last = data.shape, {"kind": "dense", "units": data.classes, "activation": "softmax", "name": "logits"}
    if len(shape) == 1:
        return [_dense("fc1", 32), _dense("fc2", 16), last]
    size, axes = min(shape[:-1]), len(shape) - 1
    if size < 8 or (axes == 2 and math.prod(shape) <= SMALL_IMAGE):
        return [{"kind": "flatten"}, _dense("fc1", 64), _dense("fc2", 32), last]
    layers: list[Keys] = []
    for number, filters in enumerate((8, 16, 16, 16, 16, 16), 1):
        relu = {"activation": "relu", "name": f"conv{number}"}
        layers.append({"kind": f"conv{axes}d", "filters": filters, "kernel": 3, **relu})
        layers.append({"kind": f"maxpool{axes}d", "pool": 2, "name": f"pool{number}"})
        size = (size - 2) // 2
        if size < 8:
            break
    return [*layers, {"kind": "flatten"}, last]


def _dense(name: str, units: int) -> Keys:
    return {"kind": "dense", "units": units, "activation": "relu", "name": name}


def _training(data: Dataset, guesses: list[str]) -> Keys:
    """Return how long to train, and whether rare classes count more."""
    counts = np.bincount(data.y_train.astype(np.int64))
    epochs = int(np.clip(math.ceil(STEPS * 50 / len(data.x_train)), *EPOCHS))
    keys: Keys = {"epochs": epochs}
    if counts.max() >= UNBALANCED * counts.min():
        keys["class_weights"] = "balanced"
        often, rare = (data.names[int(at)] for at in (counts.argmax(), counts.argmin()))
        guesses.append(
            f"class {often} has {counts.max() / counts.min():.1f} times the samples of {rare}: each class counts the "
            "same in training"
        )
    return keys


def _design(card: RunCard, data: Dataset, layers: list[Keys], board: str, guesses: list[str]) -> Keys:
    """Return a design that fits the board, by estimate."""
    place = find_board(board or card.design.board)
    io_type = IoType.STREAM if any("pool" in layer for layer in layers) else IoType.PARALLEL
    keys: Keys = {"board": place.name, "io_type": str(io_type), "strategy": "latency"}
    planned = changed(card, {"model": {"layers": layers}, "design": keys})
    network = skeleton(planned, data.shape)
    assert network is not None
    proposals = fit(network, planned.design.resolve(), find_part(place.part_number))
    if not proposals:
        guesses.append(f"no reuse factors make this network fit {place.name}; take fewer or smaller layers")
        return keys
    best = proposals[0]
    factors = {name: factor for name, factor in best.reuse_factors.items() if factor > 1}
    keys["strategy"] = str(best.design.strategy)
    return keys | {"layers": {name: {"reuse_factor": factor} for name, factor in factors.items()}}


# What stands behind a key, and keys that one may add.
REMARKS = {
    "source": "seen from this card's folder",
    "label": "the column, array or file of the classes",
    "classes": "the labels, in the order that the network's outputs get",
    "features": "the columns to learn from, in this order",
    "input_type": "the grid of the values: fixed<bits,integer bits>, the sign among them",
    "input_scale": "what the integers are multiplied by, rounded to that grid",
    "shape": "of one sample, channels last",
    "normalize": "or feature, from least to largest; sample, each row by itself; none, as they are",
    "epochs": "of the float network",
    "class_weights": "each class counts the same; 'equal': each sample",
    "board": "fpgaml boards lists them",
    "strategy": "and the reuse factors: what `fpgaml fit` proposes for this board",
}
MORE = {
    "test": "a file to test with; else what the source has for that, or a fifth of each class",
    "validation": "a file to choose the best epoch with; else a fifth of the training samples",
}


def _lines(
    name: str, source: Path, keys: Keys, layers: list[Keys], training: Keys, design: Keys, data: Dataset
) -> Iterator[str]:
    """Yield the lines of the card."""
    counts = np.bincount(np.concatenate([data.y_train, data.y_test]).astype(np.int64))
    classes = ", ".join(f"{one} ({count:,})" for one, count in zip(data.names[:12], counts, strict=False))
    size = " x ".join(map(str, data.shape)) + (" values" if len(data.shape) == 1 else "")
    yield f"# {source.name}: {counts.sum():,} {data.noun}s of {size}"
    yield f"# {data.classes} classes: {classes}{' ...' if data.classes > 12 else ''}"
    yield "# Written by `fpgaml new`; each key that is not here has a default, and a misspelt one is refused."
    yield f"name = {inline(name)}"
    yield "\n[data]"
    yield from _section(keys)
    yield from (f'# {key} = "..."  # {remark}' for key, remark in MORE.items() if key not in keys)
    yield "\n[model]"
    yield f"layers = {inline(layers, top=True)}"
    yield "\n[training]"
    yield from _section(training)
    yield "\n[quantization]"
    yield "weight_bits = 6"
    yield "activation_bits = 6"
    yield f"epochs = {max(4, training['epochs'] // 2)}  # of training with the bits above"
    yield "\n[design]"
    yield from _section({key: value for key, value in design.items() if key != "layers"})
    for layer, own_design in design.get("layers", {}).items():
        yield f"\n[design.layers.{layer}]"
        yield from _section(own_design)


def _section(keys: Keys) -> Iterator[str]:
    for key, value in keys.items():
        remark = f"  # {REMARKS[key]}" if key in REMARKS else ""
        yield f"{key} = {inline(value)}{remark}"
