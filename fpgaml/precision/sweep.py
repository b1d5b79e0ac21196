"""Accuracy against total bits and integer bits: the lab notebooks' exercise, by emulation in seconds.

    model, types = from_network(network), types_of(network)
    found = sweep(model, codes, labels, widths=range(4, 16, 2), integers=range(1, 7), others=types)
    found.accuracies        (widths, integers)
    print(found.table())

Each point gives ``ap_fixed<width, integer>`` to the swept tensors and runs all images exactly; C simulation of the
network at a point (`network_at`) gives the same number, which is the proof that the sweep means what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from fpgaml.errors import ConfigError, nearest
from fpgaml.exact.accuracy import right_answers
from fpgaml.ir.fixed import FixedPoint, Floats, Integers, Overflow, Rounding
from fpgaml.ir.floatmodel import FloatModel, build, network_sizes, weight_bits
from fpgaml.ir.network import Network


class Swept(StrEnum):
    """Which tensors take the type of a point."""

    ALL = "all"
    WEIGHTS = "weights"
    ACTIVATIONS = "activations"


def named_tensors(name: str) -> Swept:
    """Return what is swept by its name. Raises: ConfigError."""
    known = [str(one) for one in Swept]
    if name not in known:
        raise ConfigError(f"tensors to sweep must be one of {', '.join(known)}, not {name!r}{nearest(name, known)}")
    return Swept(name)


@dataclass(frozen=True)
class Setting:
    """What a sweep changes: tensors of all layers or of one, and how activations round and overflow.

    A layer's name stands for its weights and, if it has a type, its output.
    """

    tensors: Swept = Swept.ALL
    layer: str | None = None
    rounding: Rounding = Rounding.RND_CONV
    overflow: Overflow = Overflow.SAT


@dataclass(frozen=True)
class SweepPoint:
    """One network of a sweep. weight_bits: of all its weights and biases together."""

    width: int
    integer: int
    correct: int
    weight_bits: int


@dataclass(frozen=True)
class Sweep:
    """Right answers over `images` for every width and number of integer bits, by width and then integer."""

    network: str
    setting: Setting
    images: int
    widths: tuple[int, ...]
    integers: tuple[int, ...]
    points: tuple[SweepPoint, ...]

    @property
    def accuracies(self) -> Floats:
        """Shares of right answers, (widths, integers)."""
        shares = np.array([point.correct / self.images for point in self.points])
        return shares.reshape(len(self.widths), len(self.integers))

    @property
    def best(self) -> SweepPoint:
        """The point with the most right answers; of equal ones the one with the fewest bits."""
        return min(self.points, key=lambda point: (-point.correct, point.width, point.integer))

    def table(self) -> str:
        """Return the accuracies in percent as a Markdown table."""
        head = "| total bits | " + " | ".join(f"{integer} integer" for integer in self.integers) + " |"
        rows = [
            f"| {width} | " + " | ".join(f"{100 * share:.2f}" for share in shares) + " |"
            for width, shares in zip(self.widths, self.accuracies, strict=True)
        ]
        return "\n".join([head, "|" + "---:|" * (len(self.integers) + 1), *rows])


def sweep(
    model: FloatModel,
    codes: Integers,
    labels: Integers,
    *,
    widths: Iterable[int],
    integers: Iterable[int],
    others: Mapping[str, FixedPoint],
    setting: Setting | None = None,
    progress: Callable[[SweepPoint], None] | None = None,
) -> Sweep:
    """Return the right answers of `model` for every total width and number of integer bits (sign included).

    codes: (images, *input shape), labels: (images,). others: types of the tensors that are not swept, the input among
    them; more may be given.

    Raises: ConfigError if there is nothing to sweep or a tensor has no type; DataError if the images do not fit.
    """
    setting = setting or Setting()
    rows, columns = tuple(sorted(set(widths))), tuple(sorted(set(integers)))
    if not rows or not columns:
        raise ConfigError("a sweep needs at least one total width and one number of integer bits")
    points = []
    for width in rows:
        for integer in columns:
            network = network_at(model, others, setting, width, integer)
            correct = right_answers(network, codes, labels)
            kinds = {name: FixedPoint(width, integer) for name in swept(model, setting)}
            bits = weight_bits(network_sizes(network), {**others, **kinds})
            points.append(SweepPoint(width, integer, correct, bits))
            if progress:
                progress(points[-1])
    return Sweep(model.name, setting, len(codes), rows, columns, tuple(points))


def network_at(
    model: FloatModel, others: Mapping[str, FixedPoint], setting: Setting, width: int, integer: int
) -> Network:
    """Return the network of one point: ``ap_fixed<width, integer>`` for what is swept, `others` for the rest."""
    kind = FixedPoint(width, integer, True, setting.rounding, setting.overflow)
    weight = FixedPoint(width, integer, True, Rounding.RND_CONV, Overflow.SAT)
    types = {name: others[name] for name in model.tensors if name in others}
    return build(model, types | {name: weight if "." in name else kind for name in swept(model, setting)})


def swept(model: FloatModel, setting: Setting) -> tuple[str, ...]:
    """Return the tensors that a setting changes; the input keeps its type, which is that of the data.

    Raises: ConfigError if there are none.
    """
    names = [layer.name for layer in model.layers]
    if setting.layer is not None and setting.layer not in names:
        raise ConfigError(f"{model.name!r} has no layer {setting.layer!r} to sweep{nearest(setting.layer, names)}")
    found = [*model.weights] if setting.tensors is not Swept.ACTIVATIONS else []
    found += model.activations[1:] if setting.tensors is not Swept.WEIGHTS else ()
    found = [name for name in found if setting.layer in (None, name.split(".")[0])]
    if not found:
        where = f"layer {setting.layer!r}" if setting.layer else repr(model.name)
        raise ConfigError(f"{where} has no {setting.tensors if setting.tensors is not Swept.ALL else 'typed'} tensors")
    return tuple(found)
