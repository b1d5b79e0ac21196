"""Cards made of cards: with some keys replaced, in a hurry, and as a record of a training says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fpgaml.card.runcard import TRAINED, RunCard
from fpgaml.card.section import Tree
from fpgaml.card.toml import card_of
from fpgaml.errors import ConfigError


def changed(card: RunCard, changes: Tree) -> RunCard:
    """Return `card` with keys replaced, e.g. ``{"training": {"epochs": 3}}``; tables are merged, the rest replaced.

    Raises: ConfigError as `card_of`.
    """
    made = card_of(_merged(card.model_dump(mode="json"), changes), f"run card {card.name!r}", card.folder)
    made._sought = card.sought if made.data == card.data else ()
    return made


FAST_EPOCHS, FAST_BATCH = 3, 200


def hurried(card: RunCard) -> RunCard:
    """Return the card for a first result in seconds: few epochs of large batches, under the name `<name>_fast`."""
    epochs = {"epochs": min(card.training.epochs, FAST_EPOCHS), "batch": max(card.training.batch, FAST_BATCH)}
    again = {"epochs": min(card.quantization.epochs, FAST_EPOCHS), "batch": max(card.quantization.batch, FAST_BATCH)}
    note = (
        f"FAST RUN: {epochs['epochs']} of {card.training.epochs} float epochs and {again['epochs']} of "
        f"{card.quantization.epochs} quantized ones, in larger batches. The accuracies are not those of the card."
    )
    return changed(
        card, {"name": f"{card.name}_fast", "training": epochs, "quantization": again, "output": {"note": note}}
    )


def trained_as(card: RunCard, record: object) -> bool:
    """Return whether `record`, kept beside a training, is what `card` says in its sections TRAINED.

    A key that came later than the record counts as its default.
    """
    if not isinstance(record, Mapping):
        return False
    try:
        other = card_of(dict(record))
    except ConfigError:
        return False
    return all(getattr(other, name) == getattr(card, name) for name in TRAINED)


def _merged(base: Tree, changes: Tree) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged
