"""What a command is pointed at: a run card, a run's folder, a saved Network, or a Keras model.

find("models/mnist_mlp.toml")          the run's Network if the card was run, else one with random weights
find("hls_projects/mnist_mlp")         that run's Network and card
find("network.npz")                    a Network
find("model.keras")                    read by Keras; slower
open_subject("model.keras", {...})     the same with its data, where a card alone must have been run
open_run("hls_projects/mnist_mlp")     a run that has its HLS project, for its card's board or another
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpgaml.card.built import as_built
from fpgaml.card.changes import changed
from fpgaml.card.runcard import RunCard
from fpgaml.card.sections import Data
from fpgaml.card.toml import load_card
from fpgaml.card.untrained import skeleton
from fpgaml.datasets import raw
from fpgaml.datasets.dataset import NAMED, Dataset
from fpgaml.datasets.proof_images import load_images, tests_alone
from fpgaml.datasets.sources import load_data, load_source, shape_of, with_data
from fpgaml.errors import ConfigError, DataError
from fpgaml.ir import saving
from fpgaml.ir.fixed import PIXEL, FixedPoint
from fpgaml.ir.network import Network, identifier
from fpgaml.runs.subject import Subject
from fpgaml.target.boards import Board, find_board, find_part
from fpgaml.target.design import Design


@dataclass(frozen=True)
class Opened:
    """A Network with the card it belongs to, the folder of its run if there is one, and where it comes from."""

    network: Network
    card: RunCard
    run: Path | None
    origin: str


class ThingKind(StrEnum):
    """What a path names, by itself: nothing is opened."""

    CARD = "a run card (.toml)"
    RUN = "a run's folder"
    NETWORK = "a saved network (.npz)"
    MODEL = "a Keras model (.keras, .h5)"


SUFFIXES = {".toml": ThingKind.CARD, ".npz": ThingKind.NETWORK, ".keras": ThingKind.MODEL, ".h5": ThingKind.MODEL}


def kind_of(path: Path) -> ThingKind:
    """Return what `path` names. Raises: DataError if there is nothing, or nothing that can be used."""
    *first, last = ThingKind
    if not path.exists():
        raise DataError(f"{path} does not exist; name {', '.join(first)} or {last}")
    if path.is_dir():
        return ThingKind.RUN
    if path.suffix not in SUFFIXES:
        raise DataError(f"{path} must be {', '.join(first)} or {last}")
    return SUFFIXES[path.suffix]


def find(path: str | Path, base: Path | None = None) -> Opened:
    """Return what `path` names; `base` is where runs live, instead of the card's output folder.

    Raises: DataError, ConfigError or FormatError if it names nothing that can be used.
    """
    path = Path(path)
    match kind_of(path):
        case ThingKind.RUN:
            return find_run(path)
        case ThingKind.CARD:
            card = load_card(path)
            made = (_folder(card, base) / "network.npz").is_file()
            return find_run(path, base) if made else _untrained(card)
        case ThingKind.NETWORK:
            return Opened(saving.load(path), RunCard(), None, str(path))
        case ThingKind.MODEL:
            from fpgaml.frontend import store
            from fpgaml.frontend.read import read

            model = store.load(path)
            reading = read(model, name=identifier(path.stem), input_type=PIXEL)
            return Opened(reading.network, RunCard(), None, str(path))


def find_run(path: Path, base: Path | None = None) -> Opened:
    """Return the run of a run card, or in a run's folder; `base` as for `find`.

    Raises: DataError if a folder is no run; ConfigError if the run has no network yet.
    """
    if path.is_dir() and not (path / "run.json").is_file():
        raise DataError(f"{path} is no run of fpgaml; it has no run.json")
    card = load_card(path / "card.toml" if path.is_dir() else path)
    run = path if path.is_dir() else _folder(card, base)
    if not (run / "network.npz").is_file():
        raise ConfigError(f"{path} has no network yet; do its first steps: fpgaml run CARD --to quantize")
    return Opened(saving.load(run / "network.npz"), card, run, f"run {run}")


def data_of(run: Path, card: RunCard, given: Mapping[str, str]) -> Dataset:
    """Return a run's data; if options say so, those of other files, as codes like those that the run learned from.

    The run's own file may have been moved: it is then divided as before. Of another file all test samples are taken, or
    all there are. Raises: DataError, ConfigError.
    """
    learned = raw.beside(run / "network.npz")
    source = given.get("test", given.get("source", "mnist"))
    if source in NAMED or learned is None:
        return load_data(with_data(card, given))
    if "test" not in given:
        with suppress(DataError, ConfigError):
            found = load_data(with_data(card, given))
            if (found.encoding, found.names) == (learned.encoding, learned.classes):
                return found
    network = saving.load(run / "network.npz")
    label = given.get("label", card.data.label)
    images = load_images(Path(source), network.input.dims, network.input.type, sys.maxsize, None, label, learned)
    return tests_alone(images, network.input.type)


def design_of(target: Opened, *, board: str | None = None, part: str | None = None) -> Design:
    """Return the design of a target's card, on another board or part if one is named."""
    own: dict[str, object] = {}
    if board:
        own |= {"board": find_board(board).name, "part": ""}
    if part:
        own |= {"part": find_part(part).device}
    card = changed(target.card, {"design": own}) if own else target.card
    return card.design.resolve()


def _folder(card: RunCard, base: Path | None) -> Path:
    return (base or Path(card.output.folder)) / card.name


def _untrained(card: RunCard) -> Opened:
    made = skeleton(card, shape_of(card) or load_data(card).shape)
    if made is None:
        raise ConfigError(f"card {card.name!r} takes its model from a Python function; run it first: fpgaml run CARD")
    return Opened(made, card, None, f"card {card.name!r}, not trained yet: weights drawn at random")


def open_subject(path: Path, data: str | Mapping[str, str] | None = None) -> Subject:
    """Return what a command works on: a card's run (.toml, or its folder), a saved network (.npz) or a Keras model.

    `data` replaces the card's, or some keys of its [data]; without a card, the default is the MNIST set in the package.

    Raises: ConfigError if a card was not run yet; FormatError, DataError, UnsupportedLayer.
    """
    given = {"source": data} if isinstance(data, str) else data or {}
    match kind_of(path):
        case ThingKind.RUN | ThingKind.CARD:
            found = find_run(path)
            assert found.run is not None
            return _checked(Subject(found.card.name, data_of(found.run, found.card, given), found.network))
        case ThingKind.NETWORK:
            network = saving.load(path)
            return _checked(Subject(network.name, _data_for(network, given, path), network))
        case ThingKind.MODEL:
            return _checked(_open_keras(path, given))


def open_float(path: Path, data: Dataset) -> Subject:
    """Return a float Keras model as a Subject. Raises: UnsupportedLayer, FormatError, DataError."""
    from fpgaml.frontend import floats, store

    model, name = store.load(path), identifier(path.stem)
    return _checked(Subject(name, data, None, model, floats.read(model, name=name)))


def _open_keras(path: Path, given: Mapping[str, str]) -> Subject:
    from fpgaml.frontend import store

    model, name = store.load(path), identifier(path.stem)
    from fpgaml.frontend.read import read

    if not any(type(layer).__module__.startswith("qkeras") for layer in model.layers):
        return open_float(path, _data(given))
    learned = raw.beside(path)
    kind = FixedPoint.parse(given["input_type"]) if "input_type" in given else learned.kind if learned else PIXEL
    network = read(model, name=name, input_type=kind).network
    return Subject(name, _data_for(network, given, path), network)


def _data(given: Mapping[str, str]) -> Dataset:
    """Return the data that options name, to learn from and to test with; MNIST without any."""
    return load_source(given.get("source", "mnist"), data=Data.model_validate({"source": "mnist", **given}))


def _data_for(network: Network, given: Mapping[str, str], path: Path) -> Dataset:
    """Return samples to test `network` with: those that options name, as codes of its input; MNIST's without any.

    If the model at `path` lies in a run, the codes are made as that run learned from them.
    """
    if given.get("source", "mnist") in NAMED and not given.get("test"):
        return _data(given)
    source, scale, label = given.get("test", given.get("source")), given.get("input_scale"), given.get("label")
    kind = network.input.type
    images = load_images(source, network.input.dims, kind, sys.maxsize, scale, label, raw.beside(path))
    return tests_alone(images, kind)


def _checked(subject: Subject) -> Subject:
    """Refuse data of another shape or type than the network takes before any work."""
    _ = subject.images
    if subject.network is not None and subject.network.input.type != subject.data.input_type:
        raise DataError(
            f"{subject.name!r} takes codes of {subject.network.input.type}, and the data are codes of "
            f"{subject.data.input_type}; give the data that it was trained on"
        )
    return subject


@dataclass(frozen=True)
class Run:
    """The folder of a run with what the bench needs of it; `codes` are the golden input images."""

    folder: Path
    card: RunCard
    network: Network
    design: Design
    codes: NDArray[np.int64]
    board: Board
    place: Path  # where project, synth and reports lie: the run's folder, or that of another board
    given: Mapping[str, str] = field(default_factory=dict)  # keys of the card's [data], as options say

    @property
    def project(self) -> Path:
        """The HLS project."""
        return self.place / "hls"

    @property
    def package(self) -> Path:
        """The folder of the board's package."""
        return self.folder / "board" / self.board.name

    def log(self, name: str) -> Path:
        """Where a log goes."""
        return self.folder / "logs" / f"{name}.log"


def open_run(folder: Path, board_name: str | None = None, *, given: Mapping[str, str] | None = None) -> Run:
    """Open the folder of a run, for its card's board or another; `given` replaces keys of its card's [data].

    For another part or clock its project may not be there yet: `flow.deploy.for_board` makes it.

    Raises: ConfigError if it has no project yet.
    """
    for name in ("card.toml", "network.npz", "golden.npz", "hls"):
        if not (folder / name).exists():
            raise ConfigError(f"{folder} has no {name}: give the folder of a run, after `fpgaml run CARD`")
    own = load_card(folder)
    place = find_board(board_name or own.design.board)
    card = own if board_name is None else changed(own, {"design": {"board": place.name, "part": ""}})
    logits = saving.load(folder / "network.npz")
    network, design = as_built(card, logits)
    with np.load(folder / "golden.npz") as file:
        codes = np.asarray(file[network.input.name], np.int64)
    same = design == as_built(own, logits)[1]
    made = folder if same else folder / "board" / place.name
    return Run(folder, card, network, design, codes, place, made, given or {})
