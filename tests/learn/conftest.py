"""Training with and without XLA, which only large networks get by themselves."""

import pytest

from fpgaml.learn import training


@pytest.fixture(params=[False, True], ids=["plain", "XLA"])
def compiled(request, monkeypatch):
    """Compile every training that XLA can compile, or none."""
    monkeypatch.setattr(training, "xla_pays", lambda model, _: request.param and training.compiles(model))
    return request.param
