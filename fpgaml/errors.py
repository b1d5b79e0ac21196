"""The errors fpgaml raises on purpose.

    FpgamlError
    ├── ConfigError          a run card, option or combination of options that cannot work
    ├── DataError            images, labels or files that do not fit
    ├── UnsupportedLayer     a layer or quantizer the Network does not know
    ├── FormatError          a file of ours or of Keras that cannot be read
    ├── ToolNotFound         a program that is not installed
    ├── ToolFailed           a program that ran and failed, or a run that was stopped
    ├── ReportError          a vendor report that cannot be parsed
    ├── ConversionMismatch   the written C++ is not what the Network says
    └── BitMismatch          two executions of one network differ in at least one bit

Each message names the subject, what must hold, what was found and what to do. The command line prints
it as it is and exits with code 2; `ConversionMismatch` and `BitMismatch` exit with code 1, for there the
input was right and the result is not.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class FpgamlError(Exception):
    """Anything fpgaml refuses or reports. code: the finding it falls under (`frontend.findings.Code`), if any."""

    def __init__(self, message: str = "", *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class ConfigError(FpgamlError):
    """A run card, an option, or a combination of options cannot work."""


class DataError(FpgamlError):
    """Images, labels or data files do not fit."""


class UnsupportedLayer(FpgamlError):
    """The Network has no exact meaning for a layer or quantizer."""


class FormatError(FpgamlError):
    """A file cannot be read as what it should be."""


class ToolNotFound(FpgamlError):
    """A program that is needed is not installed."""


class ToolFailed(FpgamlError):
    """A program ran and failed."""


class ReportError(FpgamlError):
    """A vendor report cannot be parsed."""


class ConversionMismatch(FpgamlError):
    """The written C++ differs from the Network it was made from."""


class BitMismatch(FpgamlError):
    """Two executions of one network differ."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the known word nearest to `word`, or an empty string."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
