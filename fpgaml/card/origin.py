"""Where the paths of a run's card start: a run keeps its card, and the card's files stay where they were.

origins(card, run)       what run.json keeps: the card's folder, seen from the run and from everywhere
find_data(card, run)     lets the card's paths start where its data are, also after everything was moved
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from fpgaml.card.runcard import RunCard


def origins(card: RunCard, run: Path) -> list[str]:
    """Return where `card` lies, seen from the folder of its run and from everywhere."""
    whole = card.folder.resolve()
    return [Path(os.path.relpath(whole, run.resolve())).as_posix(), whole.as_posix()]


def find_data(card: RunCard, run: Path) -> None:
    """Let the paths of a run's `card` start where its data are: in the run's folder, or where its own card lay."""
    try:
        kept = json.loads((run / "run.json").read_text(encoding="utf-8")).get("card", [])
    except (ValueError, OSError, AttributeError):
        kept = []  # whoever opens the run says what is wrong with it
    places = [run, *(run / place for place in kept if isinstance(place, str))]
    found = [place for place in places if all((place / name).exists() for name in card.data.files)]
    card._folder = next(iter([*found, *(place for place in places[1:] if place.is_dir())]), places[-1])
    card._sought = () if found else tuple(dict.fromkeys(Path(os.path.normpath(place)) for place in places))
