"""Pulses of a scintillation detector, made up: gamma rays and neutrons, to be told apart by the shape of the pulse.

    write_table(Path("pulses.csv"), 5000)       a row of names, then eight features and the class of each pulse
    write_series(Path("pulses.npz"), 5000)      the samples themselves, x_train, y_train, x_test, y_test

In an organic scintillator light comes in a prompt and in slow components. A neutron hits a proton, a gamma ray an
electron; the denser track of the former puts more of its light into the slow ones, so a larger part of the charge lies
in the pulse's tail. Here a pulse is made of

    deposited energy    exponentially distributed above a threshold, as light in photoelectrons
    light               three decays of 4, 30 and 250 ns behind a rise of 3 ns; their shares depend on the particle
    photoelectrons      Poisson-distributed in each sample: what limits the separation of small pulses
    trigger             jitters by one sample
    pile-up             5 of 100 pulses have another, of a gamma ray, at any time behind the trigger
    electronics         a baseline that differs from pulse to pulse, white noise, 12 bits at 250 MS/s, saturation

The features are those that pulse processing in firmware computes: see `features`. The same seed gives the same pulses.

Source: G. F. Knoll, Radiation Detection and Measurement, 4th ed. (2010), chapters 8 (organic scintillators) and 17
(pulse shape discrimination). The times are of the size of those of common liquid scintillators; shares, energies and
noise were chosen for this example and are no measurement.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpgaml.ir.fixed import Floats

CLASSES = ("gamma", "neutron")
FEATURES = ("amplitude", "charge", "tail", "tail_to_total", "rise_time", "width", "pile_up", "noise")

SAMPLES = 64
SAMPLE_NS = 4.0
FULL_SCALE = 4095  # largest sample of a 12-bit digitizer
TRIGGER = 12  # sample at which a pulse begins, more or less
BASELINE_SAMPLES = 10  # of which baseline and noise are taken
TAIL_SAMPLES, TAIL_GATE = 6, 30  # behind the largest sample the tail begins, and how long it is
BASELINE = 180.0
NOISE = 2.5
GAIN = 4.5  # of one photoelectron, in units of a sample
RISE_NS = 3.0
DECAYS_NS = np.array([4.0, 30.0, 250.0])
SHARES = {"gamma": np.array([0.86, 0.09, 0.05]), "neutron": np.array([0.72, 0.16, 0.12])}
SHARE_SPREAD = 0.1  # relative, of the slow shares from pulse to pulse
THRESHOLD, MEAN_LIGHT = 250.0, 600.0  # photoelectrons
PILE_UP = 0.05


def samples(count: int, seed: int = 0) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """Return `count` pulses (pulses, SAMPLES) as a digitizer has them, and classes (pulses,), 0 and 1 in turns."""
    rng = np.random.default_rng(seed)
    classes = np.arange(count) % len(CLASSES)
    start = (TRIGGER + rng.uniform(-0.5, 0.5, count)) * SAMPLE_NS
    light = _light(rng, classes, start)
    second = rng.random(count) < PILE_UP
    later = start + rng.uniform(0, SAMPLES * SAMPLE_NS, count)
    light += np.where(second[:, np.newaxis], _light(rng, np.zeros(count, np.int64), later), 0.0)
    baseline = BASELINE + rng.normal(0, 4.0, (count, 1))
    pulse = baseline + GAIN * rng.poisson(light) + rng.normal(0, NOISE, light.shape)
    return np.clip(np.rint(pulse), 0, FULL_SCALE).astype(np.int16), classes


def _light(rng: np.random.Generator, classes: NDArray[np.int64], start: Floats) -> Floats:
    """Return the mean number of photoelectrons in each sample, of pulses that begin at `start` ns."""
    shares = np.array([SHARES[name] for name in CLASSES])[classes]
    shares[:, 1:] *= 1 + SHARE_SPREAD * rng.normal(size=(len(classes), 1))
    shares[:, 0] = 1 - shares[:, 1:].sum(axis=1)
    total = THRESHOLD + rng.exponential(MEAN_LIGHT, len(classes))
    edges = np.arange(SAMPLES + 1) * SAMPLE_NS - start[:, np.newaxis]
    since = np.maximum(edges, 0)[..., np.newaxis]
    # what has come by then of a decay behind an exponential rise: the integral of their difference
    come = 1 - (DECAYS_NS * np.exp(-since / DECAYS_NS) - RISE_NS * np.exp(-since / RISE_NS)) / (DECAYS_NS - RISE_NS)
    return np.asarray(total[:, np.newaxis] * np.diff((come * shares[:, np.newaxis]).sum(axis=2), axis=1))


def features(pulses: NDArray[np.integer]) -> Floats:
    """Return FEATURES (pulses, 8) of `pulses` (pulses, SAMPLES).

    amplitude: largest sample above the baseline, the mean of the first samples. charge: sum above the baseline from two
    samples before the trigger on. tail: that of 120 ns from 24 ns behind the largest sample on, and its share of the
    charge. rise_time: from 10 to 90 % of the amplitude, ns. width: time above half of it, ns. pile_up: the largest rise
    over two samples in the tail, in parts of the amplitude. noise: standard deviation of the baseline's samples.
    """
    before = pulses[:, :BASELINE_SAMPLES].astype(np.float64)
    above = pulses - before.mean(axis=1, keepdims=True)
    at = np.arange(SAMPLES)
    peak = above.argmax(axis=1)[:, np.newaxis]
    amplitude = np.maximum(above.max(axis=1), 1.0)
    charge = above[:, TRIGGER - 2 :].sum(axis=1)
    in_tail = (at >= peak + TAIL_SAMPLES) & (at < peak + TAIL_SAMPLES + TAIL_GATE)
    tail = np.where(in_tail, above, 0).sum(axis=1)
    rises = above[:, 2:] - above[:, :-2]
    pile_up = np.where(in_tail[:, :-2], rises, 0).max(axis=1) / amplitude
    rise = _crossing(above, amplitude * 0.9, peak) - _crossing(above, amplitude * 0.1, peak)
    width = (above > amplitude[:, np.newaxis] / 2).sum(axis=1)
    columns = amplitude, charge, tail, tail / np.maximum(charge, 1.0), rise * SAMPLE_NS, width * SAMPLE_NS, pile_up
    return np.stack([*columns, before.std(axis=1)], axis=1)


def _crossing(above: Floats, level: Floats, peak: NDArray[np.integer]) -> Floats:
    """Return where each pulse last crosses its `level` upwards before its peak, in samples, between two by a line."""
    limit = level[:, np.newaxis]
    upward = (above[:, :-1] < limit) & (above[:, 1:] >= limit) & (np.arange(SAMPLES - 1) < peak)
    last = SAMPLES - 2 - upward[:, ::-1].argmax(axis=1)
    row = np.arange(len(above))
    low, high = above[row, last], above[row, last + 1]
    share = np.clip((level - low) / np.where(high > low, high - low, 1), 0, 1)
    return np.where(upward.any(axis=1), last + share, 0.0)


def write_table(path: Path, count: int, seed: int = 0) -> None:
    """Write the features of `count` pulses as CSV: names, then a row a pulse, its class last. Five digits a number."""
    pulses, classes = samples(count, seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow((*FEATURES, "class"))
        for row, label in zip(features(pulses).tolist(), classes.tolist(), strict=True):
            table.writerow((*(f"{value:.5g}" for value in row), CLASSES[label]))


def write_series(path: Path, count: int, seed: int = 0, test_fraction: float = 0.2) -> None:
    """Write the samples of `count` pulses and their classes, as words, as .npz; the last `test_fraction` test."""
    pulses, classes = samples(count, seed)
    learn = count - round(count * test_fraction)
    words = np.array(CLASSES)[classes]
    with path.open("wb") as file:
        np.savez_compressed(
            file, x_train=pulses[:learn], y_train=words[:learn], x_test=pulses[learn:], y_test=words[learn:]
        )
