"""What learning curves say: underfitting, overfitting or optimal, by stated rules.

    diagnose(history).verdict      a Verdict
    str(diagnose(history))         the verdict with the numbers and the rule behind it

The rules, in this order, on the epoch that was kept (k) and the last one (n):

    overfitting     training accuracy at k is more than 3 points above validation accuracy at k, or
                    validation loss at n is more than a quarter above its least and rose while training loss fell
    underfitting    validation loss is still falling: more than 5 % from the mean of the fifth of the epochs before
                    the last fifth to the mean of the last fifth; or training accuracy at k is below the share a
                    network must reach to have learned at all (90 % unless told otherwise)
    optimal         neither

Thresholds are conventions, not laws; they are constants below and the text of a diagnosis names them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from fpgaml.errors import DataError
from fpgaml.exact.history import History

GAP = 0.03  # between training and validation accuracy
RISE = 0.25  # of validation loss above its least
FALL = 0.05  # of validation loss between the last two fifths
LEARNED = 0.90  # training accuracy


class CurveVerdict(StrEnum):
    """How a training went."""

    UNDERFITTING = "underfitting"
    OVERFITTING = "overfitting"
    OPTIMAL = "optimal"


@dataclass(frozen=True)
class CurveDiagnosis:
    """A verdict, the rule that gave it with its numbers, and what to try."""

    verdict: CurveVerdict
    reason: str
    advice: str

    def __str__(self) -> str:
        return f"{self.verdict}: {self.reason}. {self.advice}"


def diagnose(history: History, *, learned: float = LEARNED) -> CurveDiagnosis:
    """Return the verdict on a training; `learned` is the training accuracy that any good network reaches.

    Raises: DataError if no images were held out, for then nothing can be said.
    """
    held = [epoch for epoch in history.epochs if epoch.val_loss is not None]
    if not held or not history.kept:
        raise DataError("a diagnosis needs epochs with validation figures; set training.validation_split above 0")
    kept, last = history.best, held[-1]
    losses = np.array([epoch.val_loss for epoch in held], np.float64)
    gap = kept.accuracy - float(kept.val_accuracy or 0)
    rise = losses[-1] / losses.min() - 1
    least = held[int(losses.argmin())]
    if gap > GAP:
        return _overfitting(
            f"training accuracy {kept.accuracy:.2%} is {100 * gap:.1f} points above validation accuracy "
            f"{kept.val_accuracy:.2%} (limit {100 * GAP:.0f})"
        )
    if rise > RISE and last.loss < least.loss:
        return _overfitting(
            f"validation loss rose by {rise:.0%} from its least in epoch {least.number} (limit {RISE:.0%}) while "
            f"training loss fell from {least.loss:.3g} to {last.loss:.3g}"
        )
    fifth = max(1, len(held) // 5)
    before, after = losses[-2 * fifth : -fifth], losses[-fifth:]
    fall = 1 - float(after.mean() / before.mean()) if len(before) else 0.0
    if fall > FALL:
        return CurveDiagnosis(
            CurveVerdict.UNDERFITTING,
            f"validation loss still fell by {fall:.1%} over the last {fifth} epoch(s) (limit {FALL:.0%})",
            "Train longer, or with a larger learning rate",
        )
    if kept.accuracy < learned:
        return CurveDiagnosis(
            CurveVerdict.UNDERFITTING,
            f"training accuracy {kept.accuracy:.2%} stays below {learned:.0%}",
            "Try a larger network, or another learning rate",
        )
    return CurveDiagnosis(
        CurveVerdict.OPTIMAL,
        f"training accuracy {kept.accuracy:.2%}, validation accuracy {kept.val_accuracy:.2%}, "
        f"validation loss {rise:.0%} above its least",
        "Nothing to do",
    )


def _overfitting(reason: str) -> CurveDiagnosis:
    return CurveDiagnosis(
        CurveVerdict.OVERFITTING,
        reason,
        "Try dropout, a smaller network, fewer epochs, or distillation; more data helps most",
    )
