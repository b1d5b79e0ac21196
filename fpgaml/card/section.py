"""What every table of a run card is, and the kinds of number that its keys hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from fpgaml.errors import ConfigError


class Section(BaseModel):
    """A table of the card: strict types, no unknown keys, frozen.

    A validator is built when it is first used: a card's own holds those of its tables.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


def as_by_default(section: type[Section]) -> Any:
    """Return the field of a table that may be left out: its defaults need no check, and no validator of its own."""
    return Field(default_factory=section.model_construct)


Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, le=10)]
Share = Annotated[float, Field(ge=0, lt=1)]
Tree = Mapping[str, Any]  # parsed TOML: tables of tables


def checked(check: Callable[..., object], value: str, *more: str) -> str:
    """Run one of our checks inside pydantic, which expects ValueError."""
    try:
        check(value, *more)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    return value
