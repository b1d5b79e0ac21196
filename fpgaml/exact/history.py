"""What happened in a training: one `Epoch` a pass over the images, gathered in a `History`.

    history.best          the epoch whose weights were kept
    history.to_json()     for the run folder; History.from_json reads it

No Keras in here: reports draw learning curves from files.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from fpgaml.errors import FormatError


@dataclass(frozen=True)
class Epoch:
    """One pass over the training images; validation figures are None where nothing was held out."""

    number: int
    of: int
    learning_rate: float
    seconds: float
    loss: float
    accuracy: float
    val_loss: float | None = None
    val_accuracy: float | None = None


Progress = Callable[[Epoch], None]


@dataclass(frozen=True)
class History:
    """The epochs of one training, the number of the one whose weights were kept, and why it ended."""

    epochs: tuple[Epoch, ...]
    kept: int
    ended: str = "all epochs done"

    @property
    def best(self) -> Epoch:
        """The epoch whose weights were kept."""
        return self.epochs[self.kept - 1]

    @property
    def seconds(self) -> float:
        """Time of all epochs."""
        return sum(epoch.seconds for epoch in self.epochs)

    def to_json(self) -> str:
        """Return the history as JSON text."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> History:
        """Read what `to_json` wrote. Raises: FormatError if `text` is something else."""
        try:
            record: dict[str, Any] = json.loads(text)
            epochs = tuple(Epoch(**epoch) for epoch in record["epochs"])
            return cls(epochs, record["kept"], record["ended"])
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(f"not a training history: {error}") from error
