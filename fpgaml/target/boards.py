"""Parts and boards: how much of each resource there is, with the source of every figure.

    >>> board = find_board("pynq-z2")
    >>> board.part.lut, board.part.bram18
    (53200, 280)
    >>> find_part("xc7z020-clg484-1").device
    'xc7z020'

The catalogue is data/boards.toml; a file of the same form adds to it or replaces entries: the one that the environment
variable FPGAML_BOARDS names (every command's --boards-file sets it), else ~/.config/fpgaml/boards.toml.
A full part number (device, package, speed) finds the device whose name it begins with.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from fpgaml.errors import ConfigError, nearest


@dataclass(frozen=True)
class Part:
    """What a device holds: LUTs, flip-flops, DSP slices, block RAMs of 18 kb, and UltraRAMs of 288 kb."""

    device: str
    family: str
    lut: int
    ff: int
    dsp: int
    bram18: int
    uram: int
    source: str


@dataclass(frozen=True)
class Board:
    """A board: the full number of its part as the tools want it, what the part holds, and a usual clock."""

    name: str
    title: str
    part_number: str
    part: Part
    clock_ns: float
    source: str


@dataclass(frozen=True)
class Catalogue:
    """Parts by device name and boards by name."""

    parts: Mapping[str, Part]
    boards: Mapping[str, Board]

    def board(self, name: str) -> Board:
        """Return the board called `name` (case and punctuation do not matter). Raises: ConfigError if unknown."""
        known = {_plain(board): board for board in self.boards}
        if _plain(name) not in known:
            raise ConfigError(
                f"unknown board {name!r}: `fpgaml boards` lists the known ones, and --boards-file can add one"
                f"{nearest(name.lower(), self.boards)}"
            )
        return self.boards[known[_plain(name)]]

    def part(self, number: str) -> Part:
        """Return the device that a part number such as ``xc7z020clg400-1`` begins with. Raises: ConfigError."""
        check_part_number(number)
        plain = _plain(number)
        found = [device for device in self.parts if re.match(rf"{_plain(device)}(?![0-9])", plain)]
        if not found:
            raise ConfigError(
                f"unknown part {number!r}: `fpgaml boards` lists the known ones, and --boards-file can add it"
                f"{nearest(number.lower(), self.parts)}"
            )
        return self.parts[max(found, key=len)]


BOARDS_VARIABLE = "FPGAML_BOARDS"

# What is written into scripts, names of folders and pages unquoted is of these letters only.
PART_NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,60}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}")
TEXT = re.compile(r"[\w .,:;'()/+&-]{0,200}")


def check_part_number(number: str) -> None:
    """Raise ConfigError unless `number` is letters, digits and hyphens, as part numbers are."""
    if not PART_NUMBER.fullmatch(number):
        raise ConfigError(f"part number {number!r} must be letters, digits and hyphens only, as in 'xc7z020clg400-1'")


def catalogue(extra: Path | None = None) -> Catalogue:
    """Return the catalogue, with the entries of the TOML file `extra` (by default the user's) added or replaced.

    Raises: ConfigError if `extra` cannot be read or an entry of it is incomplete.
    """
    path = extra or users_file()
    if path is None:
        return _shipped()
    try:
        return _extended(path, path.stat().st_mtime_ns)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path} must be a readable TOML file of boards: {reason}") from error


def users_file() -> Path | None:
    """Return the user's own file of boards: what FPGAML_BOARDS names, else the one in the configuration, if any."""
    named = os.environ.get(BOARDS_VARIABLE)
    own = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "fpgaml" / "boards.toml"
    return Path(named) if named else own if own.is_file() else None


@lru_cache(maxsize=4)
def _extended(path: Path, _changed: int) -> Catalogue:
    return _read(path.read_text(encoding="utf-8"), str(path), _shipped())


def find_board(name: str, extra: Path | None = None) -> Board:
    """Return the board called `name`. Raises: ConfigError with the nearest name if there is none."""
    return catalogue(extra).board(name)


def find_part(number: str, extra: Path | None = None) -> Part:
    """Return what the part `number` holds. Raises: ConfigError with the nearest device if it is unknown."""
    return catalogue(extra).part(number)


@lru_cache(maxsize=1)
def _shipped() -> Catalogue:
    text = files("fpgaml").joinpath("data/boards.toml").read_text(encoding="utf-8")
    return _read(text, "data/boards.toml", Catalogue({}, {}))


def _read(text: str, where: str, base: Catalogue) -> Catalogue:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} must be TOML: {error}") from error
    for key in tables:
        if key not in ("parts", "boards"):
            raise ConfigError(f"{where}: table {key!r} must be 'parts' or 'boards'")
    parts = dict(base.parts)
    for device, entry in tables.get("parts", {}).items():
        parts[device] = _record(Part, {"device": device, **_table(entry, f"{where}: part {device!r}")}, where)
    boards = dict(base.boards)
    known = Catalogue(parts, boards)
    for name, entry in tables.get("boards", {}).items():
        table = _table(entry, f"{where}: board {name!r}")
        part = known.part(str(table.get("part_number", "")))
        boards[name] = _record(Board, {"name": name, "part": part, **table}, where)
    return known


def _table(entry: Any, what: str) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise ConfigError(f"{what} must be a table, not {entry!r}")
    return entry


def _check_text(subject: str, key: str, text: str) -> None:
    """Raise ConfigError unless a text of a record is of the letters that need no quoting where it is written."""
    if key == "part_number":
        check_part_number(text)
    elif key in ("name", "device") and not NAME.fullmatch(text):
        raise ConfigError(f"{subject} must have a name of letters, digits and . _ - only")
    elif not TEXT.fullmatch(text):
        raise ConfigError(f"{subject}: {key} must be letters, digits, spaces and . , : ; ' ( ) / + & _ - only")


Record = TypeVar("Record", Part, Board)


def _record(kind: type[Record], values: dict[str, Any], where: str) -> Record:
    """Build a record, checking that each field is there, of its type, and not negative."""
    wanted = {field.name: str(field.type) for field in fields(kind)}
    subject = f"{where}: {kind.__name__.lower()} {next(iter(values.values()))!r}"
    for key in values:
        if key not in wanted:
            raise ConfigError(f"{subject} has the unknown key {key!r}{nearest(key, wanted)}")
    for key, type_name in wanted.items():
        if key not in values:
            raise ConfigError(f"{subject} must give {key!r}")
        _check_value(subject, key, type_name, values[key])
    return kind(**values)


def _check_value(subject: str, key: str, type_name: str, value: Any) -> None:
    kinds: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,)}
    if type_name in kinds and (isinstance(value, bool) or not isinstance(value, kinds[type_name])):
        raise ConfigError(f"{subject}: {key} must be {type_name}, not {value!r}")
    if type_name == "str":
        _check_text(subject, key, value)
    if type_name == "int" and not value >= 0:
        raise ConfigError(f"{subject}: {key} must be 0 or more, not {value}")
    if type_name == "float" and not value > 0:
        raise ConfigError(f"{subject}: {key} must be above 0, not {value}")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
