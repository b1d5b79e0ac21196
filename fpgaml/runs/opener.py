"""What a command is pointed at: a run card, a run's folder, a saved Network, or a Keras model.

find("models/mnist_mlp.toml")          the run's Network if the card was run, else one with random weights
find("hls_projects/mnist_mlp")         that run's Network and card
find("network.npz")                    a Network
find("model.keras")                    read by Keras; slower
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fpgaml.card.changes import changed
from fpgaml.card.runcard import RunCard
from fpgaml.card.toml import load_card
from fpgaml.card.untrained import skeleton
from fpgaml.datasets import raw
from fpgaml.datasets.dataset import NAMED, Dataset
from fpgaml.datasets.proof_images import load_images, tests_alone
from fpgaml.datasets.sources import load_data, shape_of, with_data
from fpgaml.errors import ConfigError, DataError
from fpgaml.ir import saving
from fpgaml.ir.fixed import PIXEL
from fpgaml.ir.network import Network, identifier
from fpgaml.target.boards import find_board, find_part
from fpgaml.target.design import Design


@dataclass(frozen=True)
class Opened:
    """A Network with the card it belongs to, the folder of its run if there is one, and where it comes from."""

    network: Network
    card: RunCard
    run: Path | None
    origin: str


def find(path: str | Path, base: Path | None = None) -> Opened:
    """Return what `path` names; `base` is where runs live, instead of the card's output folder.

    Raises: DataError, ConfigError or FormatError if it names nothing that can be used.
    """
    path = Path(path)
    if path.is_dir():
        return find_run(path)
    if not path.exists():
        raise DataError(f"{path} does not exist; name a run card, a run's folder, a network.npz or a Keras model")
    match path.suffix:
        case ".toml":
            card = load_card(path)
            made = (_folder(card, base) / "network.npz").is_file()
            return find_run(path, base) if made else _untrained(card)
        case ".npz":
            return Opened(saving.load(path), RunCard(), None, str(path))
        case ".keras" | ".h5":
            from fpgaml.frontend import store
            from fpgaml.frontend.read import read

            model = store.load(path)
            reading = read(model, name=identifier(path.stem), input_type=PIXEL)
            return Opened(reading.network, RunCard(), None, str(path))
        case _:
            raise DataError(f"{path} must be a run card (.toml), a run's folder, a Network (.npz) or a Keras model")


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
