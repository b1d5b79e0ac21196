"""What is wrong with a card, in sentences: the key, what must hold, and what was found."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from fpgaml.card.layers import LAYERS, LayerCard
from fpgaml.card.runcard import RunCard
from fpgaml.card.section import Section, Tree
from fpgaml.card.sections import LayerCompression, LayerDesignCard, LayerQuantization
from fpgaml.errors import nearest


def sentences(error: ValidationError, table: Tree) -> list[str]:
    """Say each fault once; what the branches of a union would each have taken is joined by "or"."""
    said: dict[str, str] = {}
    for fault in error.errors(include_url=False):
        line = _sentence(fault, table)
        key = f"{fault['loc']}" if fault["type"] in ("extra_forbidden", "missing") else _place(fault, table)[0]
        first, rule = said.get(key), line.removeprefix(f"{key} must be ")
        if first and " must be " in first and rule != line:
            line = first.rpartition(", not ")[0] + f" or {rule}"
        said[key] = line
    return list(dict.fromkeys(said.values()))


def _sentence(fault: ErrorDetails, table: Tree) -> str:
    """Say one fault of pydantic's in our words: key, what must hold, what was found."""
    place, known = _place(fault, table)
    context = fault.get("ctx", {})
    found = _shown(fault["input"])
    match fault["type"]:
        case "extra_forbidden":
            owner, _, key = place.rpartition(".")
            return f"{f'[{owner}]' if owner else 'the card'} has no key {key!r}{nearest(key, known)}"
        case "missing":
            return f"{place} must be given"
        case "value_error":
            reason = str(context.get("error", fault["msg"]))
            return f"{place} {reason}, not {found}" if reason.startswith("must be ") else _with(place, reason)
        case "enum" | "literal_error":
            choices = re.findall(r"'([^']*)'", str(context["expected"]))
            close = nearest(str(fault["input"]), choices)
            return f"{place} must be {' or '.join(map(repr, choices))}, not {found}{close}"
        case "union_tag_invalid":
            tag = str(context["tag"])
            return f"{place}.kind must be a known kind of layer, not {tag!r}{nearest(tag, LAYERS)}"
        case "union_tag_not_found":
            return f"{place}.kind must be given: one of {', '.join(LAYERS)}"
        case "greater_than_equal":
            return f"{place} must be at least {context['ge']:g}, not {found}"
        case "greater_than":
            return f"{place} must be above {context['gt']:g}, not {found}"
        case "less_than_equal":
            return f"{place} must be at most {context['le']:g}, not {found}"
        case "less_than":
            return f"{place} must be below {context['lt']:g}, not {found}"
        case "too_short" | "string_too_short":
            return f"{place} must not be empty"
        case "too_long":
            return f"{place} must have at most {context['max_length']} entries, not {context['actual_length']}"
        case "finite_number":
            return f"{place} must be a finite number, not {found}"
        case kind:
            return f"{place} must be {WANTED.get(kind, fault['msg'].lower())}, not {found}"


WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a text in quotes",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}


def _with(place: str, reason: str) -> str:
    return f"{place} {reason}" if reason.startswith("must ") else (f"{place}: {reason}" if place else reason)


def _place(fault: ErrorDetails, table: Tree) -> tuple[str, list[str]]:
    """Return the key as one writes it, and the keys that the table it stands in may have.

    pydantic's location also names the branch of a union that it tried; what the card does not have is left out.
    """
    parts: list[str] = []
    here: Any = table
    kinds: list[Any] = []
    for part in fault["loc"]:
        if isinstance(part, int):
            here = here[part]
            parts[-1] += f"[{part + 1}]"
        elif isinstance(here, Mapping) and (part in here or (fault["type"] == "missing" and part == fault["loc"][-1])):
            kinds.append(here.get("kind"))
            here = here.get(part)
            parts.append(part)
    return ".".join(parts), list(_section(parts[:-1], kinds[-1] if kinds else None).model_fields)


def _section(path: list[str], kind: Any) -> type[Section]:
    """Return the section of the card at `path`."""
    match path:
        case ["model", layer] if layer.startswith("layers["):
            return LAYERS.get(kind, LayerCard)
        case ["quantization", "layers", _]:
            return LayerQuantization
        case ["compression", "layers", _]:
            return LayerCompression
        case ["design", "layers", _]:
            return LayerDesignCard
        case [name]:
            found = RunCard.model_fields[name].annotation
            return found if isinstance(found, type) else RunCard
        case _:
            return RunCard


def _shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
