"""Cards as TOML: reading a file or a nested dictionary, and writing a card that reads equal."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from fpgaml.card.messages import sentences
from fpgaml.card.origin import find_data
from fpgaml.card.runcard import RunCard
from fpgaml.card.section import Tree
from fpgaml.errors import ConfigError


def load_card(path: str | Path) -> RunCard:
    """Read a run card, or the one in a run's folder, whose relative paths start where its own card lay.

    Raises: ConfigError if the file cannot be read, is no TOML, or says what cannot work.
    """
    path = Path(path)
    path = path / "card.toml" if path.is_dir() else path
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} must be a readable run card: {_reason(error)}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} must be TOML: {error}") from error
    card = card_of(table, str(path), path.parent)
    if (path.parent / "run.json").is_file():
        find_data(card, path.parent)
    return card


def card_of(table: Tree, where: str = "run card", folder: Path | None = None) -> RunCard:
    """Return the card that a nested dictionary (parsed TOML) says; `where` names it in messages.

    Raises: ConfigError with one line a fault.
    """
    try:
        card = RunCard.model_validate_json(json.dumps(table, default=str))  # JSON: enums by name, lists as tuples
        card.task()
    except ValidationError as error:
        raise ConfigError("\n".join(f"{where}: {line}" for line in sentences(error, table))) from None
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    if folder is not None:
        card._folder = folder
    return card


def to_toml(card: RunCard) -> str:
    """Return the card as TOML, without what is as by default; ``card_of(tomllib.loads(to_toml(c))) == c``."""
    dump = card.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    dump = {"name": card.name, **dump}
    if card.model.file:
        dump["model"].pop("layers", None)
    if "layers" in dump.get("model", {}):
        rows = zip(card.model.layers, dump["model"]["layers"], strict=True)
        dump["model"]["layers"] = [{"kind": layer.kind, **row} for layer, row in rows]
    return "\n".join(_toml_lines(dump, ())) + "\n"


def _toml_lines(table: Tree, path: tuple[str, ...]) -> Iterator[str]:
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    if path and (plain or not table):
        yield f"\n[{'.'.join(map(_key, path))}]"
    for key, value in plain.items():
        yield f"{_key(key)} = {inline(value, top=True)}"
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _toml_lines(value, (*path, key))


def inline(value: object, *, top: bool = False) -> str:
    """Return a value as TOML; a list of tables at the `top` has a line each."""
    match value:
        case dict():
            return "{ " + ", ".join(f"{_key(key)} = {inline(item)}" for key, item in value.items()) + " }"
        case list() if top and value and isinstance(value[0], dict):
            return "[\n" + "".join(f"  {inline(item)},\n" for item in value) + "]"
        case list():
            return "[" + ", ".join(map(inline, value)) + "]"
        case _:
            # Strings, numbers and booleans are written alike in JSON and TOML; but for this one control character.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else inline(key)


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
