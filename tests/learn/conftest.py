"""Training with and without XLA, which only large networks get by themselves."""

import pytest

from fpgaml.learn import training


@pytest.fixture(params=[False, True], ids=["plain", "XLA"])
def compiled(request, monkeypatch):
    """Compile every training that XLA can compile, or none."""
    monkeypatch.setattr(training, "xla_pays", (lambda model, _: training.compiles(model)) if request.param else never)
    return request.param


def never(*_):
    return False
