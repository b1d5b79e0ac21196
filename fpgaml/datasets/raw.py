"""Raw test rows with their labels and encoding: what goes with a run, so that a board can be fed as training was.

data.raw(1000).save(path)
raw = load(path)
raw.encoding.codes(raw.rows)
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpgaml.datasets.encoding import Encoding
from fpgaml.errors import DataError, FormatError
from fpgaml.ir.fixed import Array, FixedPoint, smallest

RAW_ROWS = 1000  # of the test set, in a run and in the packages for boards


@dataclass(frozen=True, eq=False)
class RawRows:
    """Rows (rows, *shape) as the data's file has them, labels (rows,) that count `classes`; length 0 if there are none.

    `classes` are the names of the classes 0, 1, ...; empty without labels.
    """

    rows: Array
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    encoding: Encoding

    @property
    def kind(self) -> FixedPoint:
        """The narrowest type that holds all codes of the encoding."""
        return smallest(self.encoding.low, self.encoding.high, self.encoding.fraction)

    def codes(self, count: int) -> NDArray[np.int64]:
        """Return the codes of the first `count` rows. Raises: DataError if they are none for their own encoding."""
        try:
            return self.encoding.codes(self.rows[:count])
        except ValueError as error:
            raise DataError(f"raw rows cannot be encoded as training did: {error}") from error

    def save(self, path: Path) -> None:
        """Write an .npz file."""
        text = json.dumps({"encoding": asdict(self.encoding), "classes": self.classes})
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, rows=self.rows, labels=self.labels, record=np.array(text))


def beside(path: Path) -> RawRows | None:
    """Return the raw rows of the run that a file lies in; None if it lies in none."""
    kept = path.parent / "raw.npz"
    return load(kept) if (path.parent / "run.json").is_file() and kept.is_file() else None


def load(path: Path) -> RawRows:
    """Read what `save` wrote. Raises: FormatError if it is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            record = json.loads(str(file["record"]))
            encoding = Encoding.of_record(record["encoding"])
            return RawRows(file["rows"], file["labels"], tuple(record["classes"]), encoding)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise FormatError(f"{path} holds no raw rows that fpgaml saved: {error}") from error
