"""A run's folder: what is in it, what made it, and whether that still holds.

    hls_projects/<name>/
      card.toml            the run card as it was read
      float.keras          the float model          float_history.json     float_logits.npy
      quantized.keras      its QKeras twin          quantized_history.json quantized_logits.npy
      network.npz          the Network              reading.json           where its layers come from
      stages.json          accuracy and cost of the network after each stage of compression
      golden.npz           test images and every layer's codes, by the emulator; keras_golden.npz by Keras
      raw.npz              raw test rows, labels, names of classes, and how rows become codes: for boards
      images.npz           of a model made elsewhere (flow/foreign.py): all images as codes, with their labels
      profile.json         ranges and used bits of every tensor
      hls/                 the HLS project          csim.npz               what its C++ computed
      synth/               vendor runs              reports/  board/       reports from elsewhere, board packages
      estimate.json        latency and resources before synthesis
      certificate.json     for which layers the C++ is the network for every input (fpgaml prove)
      comparison.json      logs/                    report.md report.json figures/
      run.json             which step made what, from what, when

Files appear whole or not at all: they are written beside their place and renamed. A step is done when its digest in
run.json equals the digest of what it would be made from now and what it made is unchanged.

A Workspace lasts for one run, and carries what the steps share, each opened when it is first asked for, and once:

    workspace.data  .network  .built      the card's data, network.npz, and what becomes hardware of it
    workspace.arrays("csim.npz")          the arrays of a file, until the run writes it anew
    workspace.trace(network, codes)       every layer's codes by the emulator
    workspace.digest(path)                of what is in a file or folder
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fpgaml.card.built import as_built
from fpgaml.card.origin import origins
from fpgaml.card.runcard import RunCard
from fpgaml.card.toml import to_toml
from fpgaml.datasets.dataset import Dataset
from fpgaml.datasets.sources import load_data
from fpgaml.errors import ConfigError, FormatError
from fpgaml.ir.fixed import Array, Codes
from fpgaml.ir.network import Network
from fpgaml.ir.saving import load
from fpgaml.runs.lock import LOCK, alone_in
from fpgaml.target.archive import sources
from fpgaml.target.design import Design
from fpgaml.whole import clear_unfinished, is_unfinished, made_whole

Opened = TypeVar("Opened")
Arrays = Mapping[str, Array]


@dataclass
class Workspace:
    """The folder of one run, its card, and what its steps share."""

    card: RunCard
    folder: Path
    state: dict[str, dict[str, Any]] = field(default_factory=dict)
    _opened: dict[Path, Any] = field(default_factory=dict, repr=False)
    _digests: dict[Path, str] = field(default_factory=dict, repr=False)
    _made_of: dict[str, tuple[tuple[Any, ...], Any]] = field(default_factory=dict, repr=False)

    @classmethod
    def open(cls, card: RunCard, base: Path | None = None) -> Workspace:
        """Create or open the folder `<output folder>/<name>`.

        Raises: ConfigError if it cannot be written or belongs to something else.
        """
        made = cls.at(card, base)
        made.create()
        return made

    @classmethod
    def at(cls, card: RunCard, base: Path | None = None) -> Workspace:
        """Return the workspace of a card as it stands, perhaps not there yet; nothing is written."""
        folder = (base if base is not None else Path(card.output.folder)) / card.name
        return cls(card, folder, read_mark(folder / "run.json").get("steps", {}))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Create the folder and hold it, so that no other process works in it at the same time.

        Raises: as `open`; ConfigError that says who holds it.
        """
        self.make_folder()
        with alone_in(self.folder):
            state = read_mark(self / "run.json").get("steps", {})
            if state != self.state:  # another process ended here since this one looked
                self.state = state
                self._opened.clear()
                self._digests.clear()
            self.create()
            yield

    def create(self) -> None:
        """Make the folder if it is not there, and write the card into it. Raises: as `open`."""
        self.make_folder()
        clear_unfinished(self.folder)
        self.save_state()
        self.write("card.toml", lambda path: path.write_text(to_toml(self.card), encoding="utf-8"))

    def make_folder(self) -> None:
        """Make the folder if it is not there. Raises: as `open`."""
        card, folder, mark = self.card, self.folder, self / "run.json"
        try:
            if folder.exists() and not mark.is_file() and any(map(_is_foreign, folder.iterdir())):
                raise ConfigError(
                    f"output folder {folder} is no run of fpgaml; move it away, or give the card another name"
                )
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK):
                raise ConfigError(f"output folder {folder} cannot be written; choose another with output.folder")
        except (PermissionError, NotADirectoryError, FileExistsError) as error:
            raise ConfigError(f"output folder {folder} cannot be written: {error.strerror}") from error
        owner = read_mark(mark).get("name", card.name)
        if owner != card.name:
            raise ConfigError(f"output folder {folder} belongs to run {owner!r}, not {card.name!r}")

    @property
    def data(self) -> Dataset:
        """The images and labels that the card names. Raises: DataError."""
        return self._once("data", (), lambda: load_data(self.card))

    @property
    def network(self) -> Network:
        """The run's network."""
        return self._read("network.npz", load)

    @property
    def built(self) -> tuple[Network, Design]:
        """The network as it becomes hardware, and its design. Raises: ConfigError if the card's outputs cannot be."""
        network = self.network
        return self._once("built", (network,), lambda: as_built(self.card, network))

    @property
    def golden_codes(self) -> Codes:
        """The golden test images, as codes of the input."""
        return self.arrays("golden.npz")[self.network.input.name]

    def arrays(self, name: str) -> Arrays:
        """Return the arrays of an .npz file of the run, or that of an .npy file, named ""."""
        return self._read(name, _arrays)

    def trace(self, network: Network, codes: NDArray[np.integer]) -> Mapping[str, Codes]:
        """Return every layer's codes by the emulator; the same network and images are run once."""
        from fpgaml.exact import emulate

        return self._once("trace", (network, codes), lambda: emulate.trace(network, codes))

    def digest(self, path: Path) -> str:
        """Return `digest_of` a file or folder of this run, or that its card names, as it stood when first asked."""
        if path not in self._digests:
            self._digests[path] = digest_of(path)
        return self._digests[path]

    def renewed(self, names: Iterable[str]) -> None:
        """Know no more what was in files of the run, for they were written."""
        for name in names:
            for known in (self._opened, self._digests):
                known.pop(self / name, None)

    def _read(self, name: str, read: Callable[[Path], Opened]) -> Opened:
        path = self / name
        if path not in self._opened:
            self._opened[path] = read(path)
        found: Opened = self._opened[path]
        return found

    def _once(self, key: str, sources: tuple[Any, ...], make: Callable[[], Opened]) -> Opened:
        """Return what `make` makes of some values, and the same again as long as they are equal."""
        if key not in self._made_of or not _equal(self._made_of[key][0], sources):
            self._made_of[key] = sources, make()
        found: Opened = self._made_of[key][1]
        return found

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def log(self, step: str) -> Path:
        """Return the log file of a step, its folder made."""
        (self / "logs").mkdir(exist_ok=True)
        return self / "logs" / f"{step}.log"

    def write(self, name: str, make: Callable[[Path], object]) -> Path:
        """Let `make` write a file beside its place, then rename it there, so that no half file is ever seen."""
        with made_whole(self / name) as part:
            make(part)
        self.renewed([name])
        return self / name

    def save_state(self) -> None:
        """Write run.json."""
        card = origins(self.card, self.folder)
        text = json.dumps({"fpgaml": 1, "name": self.card.name, "card": card, "steps": self.state}, indent=1)
        self.write("run.json", lambda path: path.write_text(text, encoding="utf-8"))

    def forget(self, step: str) -> None:
        """Mark a step as not done."""
        if self.state.pop(step, None) is not None:
            self.save_state()

    def remove(self, names: Iterable[str]) -> None:
        """Remove files and folders of the run."""
        for name in names:
            path = self / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            self.renewed([name])


def _is_foreign(path: Path) -> bool:
    """Return whether something in a folder that is no run yet is not what a run that was killed leaves."""
    return not is_unfinished(path) and path.name != LOCK


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, or of all files in a folder with their names; "" if it does not exist.

    What vendor tools and compilers leave in a project does not count: opening it there must not undo a step.
    """
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if not path.is_dir():
        return ""
    sha = hashlib.sha256()
    for inner in sorted(sources(path)):
        sha.update(f"{inner.relative_to(path)} {digest_of(inner)}\n".encode())
    return sha.hexdigest()


def read_mark(mark: Path) -> dict[str, Any]:
    """Return what a run.json says; empty if there is none. Raises: FormatError if it cannot be read."""
    if not mark.is_file():
        return {}
    try:
        record = json.loads(mark.read_text(encoding="utf-8"))
        if not isinstance(record, dict) or record.get("fpgaml") != 1:
            raise ValueError("it was not written by fpgaml")
    except (ValueError, OSError) as error:
        raise FormatError(f"{mark} cannot be read ({error}); remove it to start the run again") from error
    return record


def _arrays(path: Path) -> Arrays:
    with path.open("rb") as file:
        found = np.load(file, allow_pickle=False)
        return {"": found} if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}


def _equal(left: tuple[Any, ...], right: tuple[Any, ...]) -> bool:
    return len(left) == len(right) and all(
        a is b or (np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b)
        for a, b in zip(left, right, strict=True)
    )


def write_npy(path: Path, array: Any) -> None:
    """Write an array to exactly `path`."""
    with path.open("wb") as file:
        np.save(file, array)


def write_npz(workspace: Workspace, name: str, arrays: dict[str, Any]) -> None:
    """Write arrays to a file of the run."""

    def write(path: Path) -> None:
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    workspace.write(name, write)
