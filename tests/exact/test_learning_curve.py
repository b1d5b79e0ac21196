"""Verdicts on made learning curves."""

import pytest

from fpgaml.errors import DataError
from fpgaml.exact.history import Epoch, History
from fpgaml.exact.learning_curve import CurveVerdict, diagnose


def history(*rows, kept=None):
    epochs = tuple(
        Epoch(n, len(rows), 0.001, 1.0, loss, accuracy, val_loss, val_accuracy)
        for n, (loss, accuracy, val_loss, val_accuracy) in enumerate(rows, 1)
    )
    return History(epochs, kept or len(rows))


def test_optimal():
    found = diagnose(history(*[(0.1, 0.98, 0.1, 0.975)] * 10))
    assert found.verdict is CurveVerdict.OPTIMAL
    assert str(found) == (
        "optimal: training accuracy 98.00%, validation accuracy 97.50%, validation loss 0% above its least. "
        "Nothing to do"
    )


def test_overfitting_by_the_gap():
    found = diagnose(history(*[(0.01, 1.0, 0.1, 0.95)] * 10))
    assert found.verdict is CurveVerdict.OVERFITTING
    assert found.reason == "training accuracy 100.00% is 5.0 points above validation accuracy 95.00% (limit 3)"


def test_overfitting_by_rising_loss():
    rows = [(0.2 / n, 0.97, 0.1 + 0.02 * abs(n - 3), 0.96) for n in range(1, 11)]
    found = diagnose(history(*rows, kept=3))
    assert found.verdict is CurveVerdict.OVERFITTING
    assert found.reason == (
        "validation loss rose by 140% from its least in epoch 3 (limit 25%) while training loss fell "
        "from 0.0667 to 0.02"
    )


def test_underfitting_because_it_still_learns():
    found = diagnose(history(*[(1 / n, 0.95, 1 / n, 0.95) for n in range(1, 11)]))
    assert found.verdict is CurveVerdict.UNDERFITTING
    assert found.reason == "validation loss still fell by 21.2% over the last 2 epoch(s) (limit 5%)"


def test_underfitting_because_it_never_learned():
    flat = history(*[(1.0, 0.6, 1.0, 0.6)] * 10)
    assert diagnose(flat).reason == "training accuracy 60.00% stays below 90%"
    assert diagnose(flat, learned=0.5).verdict is CurveVerdict.OPTIMAL


def test_nothing_held_out():
    with pytest.raises(DataError) as caught:
        diagnose(history((1.0, 0.5, None, None)))
    assert str(caught.value) == (
        "a diagnosis needs epochs with validation figures; set training.validation_split above 0"
    )
