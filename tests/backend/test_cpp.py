"""C++ that runs, held against the emulator."""

import pytest

from fpgaml.backend import cpp
from fpgaml.errors import BitMismatch
from fpgaml.exact.emulate import run
from fpgaml.ir.accumulate import tensor_types
from tests import networks


def test_one_wrong_bit_in_c_simulation_is_found(tmp_path, monkeypatch):
    network = networks.mlp(sizes=(6, 4, 3))
    codes = networks.codes_for(network, 5)
    logits = run(network, codes)
    wrong = logits.copy()
    wrong[3, 1] ^= 1
    monkeypatch.setattr(cpp, "convert", lambda network, design, folder: cpp.Project(network, design, folder))
    monkeypatch.setattr(cpp, "execute", lambda *args, **options: {"fc1": logits})
    assert cpp.prove(network, codes, tmp_path / "p" / "hls") == 15
    assert cpp.mismatches(network, None, codes, None, tmp_path) == 0
    monkeypatch.setattr(cpp, "execute", lambda *args, **options: {"fc1": wrong})
    with pytest.raises(BitMismatch) as error:
        cpp.prove(network, codes, tmp_path / "p" / "hls")
    kind = tensor_types(network)["fc1"]
    left, right = kind.decode([logits[3, 1], wrong[3, 1]]).tolist()
    assert str(error.value) == (
        "C simulation differs from the emulator: layer 'fc1': 1 of 15 values differ; the first at image 3, channel "
        f"(1): emulator {left!r}, C simulation {right!r}"
    )


def test_a_logit_counts_once_whoever_differs(tmp_path, monkeypatch):
    network = networks.mlp(sizes=(6, 4, 3))
    codes = networks.codes_for(network, 5)
    logits = run(network, codes)
    wrong, keras = logits.copy(), tensor_types(network)["fc1"].decode(logits)
    wrong[3, 1] += 1
    keras[3, 1] += 1
    keras[0, 2] -= 1
    monkeypatch.setattr(cpp, "convert", lambda network, design, folder: cpp.Project(network, design, folder))
    monkeypatch.setattr(cpp, "execute", lambda *args, **options: {"fc1": wrong})
    assert cpp.mismatches(network, None, codes, None, tmp_path) == 1
    assert cpp.mismatches(network, None, codes, keras, tmp_path) == 2
