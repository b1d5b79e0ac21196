"""Training with and without XLA, which only large networks get by themselves."""

import pytest

from fpgaml.training import fit


@pytest.fixture(params=[False, True], ids=["plain", "XLA"])
def compiled(request, monkeypatch):
    """Compile every training that XLA can compile, or none."""
    monkeypatch.setattr(fit, "xla_pays", lambda model, _: request.param and fit.compiles(model))
    return request.param
