"""Made-up detector pulses: the same for a seed, with the physics they claim."""

from pathlib import Path

import numpy as np
import pytest

from fpgaml.card.sections import Data
from fpgaml.card.toml import load_card
from fpgaml.datasets import pulses
from fpgaml.datasets.dataset import load
from fpgaml.datasets.sources import load_data
from tests.commands import command

MODELS = Path(__file__).parents[2] / "models"


def test_the_shipped_table_is_what_the_generator_writes(tmp_path):
    pulses.write_table(tmp_path / "pulses.csv", 5000)
    assert (tmp_path / "pulses.csv").read_bytes() == (MODELS / "pulses.csv").read_bytes()


def test_the_card_reads_the_shipped_table():
    data = load_data(load_card(MODELS / "psd_mlp.toml"))
    assert (data.names, data.encoding.names, data.encoding.kind) == (pulses.CLASSES, pulses.FEATURES, "standard")
    assert (np.bincount(data.y_train).tolist(), np.bincount(data.y_test).tolist()) == ([2000, 2000], [500, 500])


def test_a_seed_decides_everything():
    first, classes = pulses.samples(50, 3)
    again, _ = pulses.samples(50, 3)
    np.testing.assert_array_equal(first, again)
    assert (first != pulses.samples(50, 4)[0]).any()
    assert np.bincount(classes).tolist() == [25, 25]


def test_features_of_a_pulse_by_hand():
    """Up from 100 in two steps to 500 above, then straight down: every feature by hand."""
    pulse = np.full(64, 100)
    pulse[12:18] = 100 + np.array([200, 500, 400, 200, 100, 0])
    pulse[20:25] = 100 + np.array([40, 20, 40, 90, 20])  # the tail begins six samples behind the largest: at 19
    found = dict(zip(pulses.FEATURES, pulses.features(pulse[np.newaxis])[0].tolist(), strict=True))
    assert found == pytest.approx(
        {
            "amplitude": 500.0,
            "charge": 1400.0 + 210.0,
            "tail": 210.0,
            "tail_to_total": 210 / 1610,
            "rise_time": (12 + 250 / 300 - (11 + 50 / 200)) * 4,  # 90 % between samples 12 and 13, 10 % before 12
            "width": 2 * 4.0,  # 500 and 400 are above 250
            "pile_up": 70 / 500,  # from 20 to 90
            "noise": 0.0,
        }
    )


def test_neutrons_have_the_larger_tail_and_pile_up_is_rare():
    x, classes = pulses.samples(4000, 1)
    found = dict(zip(pulses.FEATURES, pulses.features(x).T, strict=True))
    gamma, neutron = (np.median(found["tail_to_total"][classes == n]) for n in (0, 1))
    assert 1.5 < neutron / gamma < 3
    assert 0.005 < (found["pile_up"] > 0.25).mean() < 0.05
    assert 0.005 < (x == pulses.FULL_SCALE).any(axis=1).mean() < 0.05  # saturated
    assert 2.0 < np.median(found["noise"]) < 3.0


def test_the_command_writes_either(monkeypatch, tmp_path, capsys):
    assert command(monkeypatch, "pulses", tmp_path / "p.csv", "--rows", 40, "--seed", 2) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'p.csv'}: 40 pulses of 8 features, classes gamma and neutron\n"
    assert load("p.csv", tmp_path, Data(label="class")).shape == (8,)
    assert command(monkeypatch, "pulses", tmp_path / "p.npz", "--rows", 40) == 0
    series = load("p.npz", tmp_path, Data(input_type="ufixed<12,0>", shape=(64, 1)))
    assert (series.shape, series.names, len(series.x_test)) == ((64, 1), pulses.CLASSES, 8)
    capsys.readouterr()
    assert command(monkeypatch, "pulses", tmp_path / "p.txt") == 2
    assert (
        capsys.readouterr().err == "error: file of pulses must end in .csv (features) or .npz (samples), not 'p.txt'\n"
    )
    assert command(monkeypatch, "pulses", tmp_path / "none" / "p.csv") == 2
    assert capsys.readouterr().err == f"error: folder {tmp_path / 'none'} of p.csv does not exist\n"
