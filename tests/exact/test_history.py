"""What happened in a training, written and read back."""

import pytest

from fpgaml.errors import FormatError
from fpgaml.exact.history import Epoch, History

FIRST = Epoch(1, 3, 0.01, 2.0, 0.5, 0.8, 0.6, 0.75)
LAST = Epoch(2, 3, 0.005, 1.5, 0.25, 0.9)


def test_the_best_epoch_is_the_one_whose_weights_were_kept():
    made = History((FIRST, LAST), 1, "stopped early")
    assert made.best == FIRST
    assert made.seconds == 3.5


def test_a_history_is_read_as_it_was_written():
    made = History((FIRST, LAST), 2)
    found = History.from_json(made.to_json())
    assert found == made
    assert (found.ended, found.epochs[1].val_loss) == ("all epochs done", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a training history: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("{}", "not a training history: 'epochs'"),
        ('{"epochs": 3}', "not a training history: 'int' object is not iterable"),
        ("[]", "not a training history: list indices must be integers or slices, not str"),
    ],
)
def test_anything_else_is_refused(text, message):
    with pytest.raises(FormatError) as caught:
        History.from_json(text)
    assert str(caught.value) == message
