"""What the numbers in a network do: ranges, bits used, saturation, underflow and noise, tensor by tensor.

    profile(network, codes, labels)      Profile: one TensorProfile for every weight, activation and accumulator
    profile_floats(batches)              the same statistics of the float model that it came from
    noise(network, codes, batches)       signal to quantization noise of every layer against that float model

Codes are integer codes of the network's input, (images, *shape). Images stream through the emulator in chunks
and every tensor is only counted (histogram.py), so memory does not grow with the number of images.

*Overflow* is a value that its type cannot hold: it saturates or wraps, as the type says. *Underflow* is a value
other than zero that becomes zero. Both, and the noise, are of the cast itself: what goes in against what comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from math import log10
from typing import Any

import numpy as np

from fpgaml.errors import ConfigError, DataError, FormatError
from fpgaml.exact.emulate import Emulator
from fpgaml.ir.accumulate import Interval, codes_before_cast, intervals, tensor_types
from fpgaml.ir.fixed import MAX_WIDTH, Array, Codes, FixedPoint, Floats, Integers, Overflow, smallest
from fpgaml.ir.network import Layer, Network, Result, Weights, weights_of
from fpgaml.ir.shown import Shown, Summary
from fpgaml.precision.histogram import CodeCounter, FloatCounter, Histogram, Statistics, summarize


class Role(StrEnum):
    """What a tensor is for."""

    INPUT = "input"
    WEIGHT = "weight"  # kernels, biases, scales, tables
    ACTIVATION = "activation"  # in a stated type, or moved as it is
    ACCUMULATOR = "accumulator"  # computed exactly


@dataclass(frozen=True)
class Cast:
    """What the cast to a tensor's type did to the `count` values that went in.

    signal_to_noise_db: 10 log10(sum x**2 / sum (y - x)**2); None if the cast changed no value, or all are zero.
    estimated: the values were counted in bins: underflow and noise are close but not exact (overflow always is).
    overflow_by_class: share of the values of the images of each class, in the order of the profile's classes.
    """

    count: int
    overflowed: int
    underflowed: int
    signal_to_noise_db: float | None
    overflow_by_class: tuple[float, ...] = ()
    estimated: bool = False

    @property
    def overflow_share(self) -> float:
        """Share of the values that saturate or wrap."""
        return self.overflowed / self.count

    @property
    def underflow_share(self) -> float:
        """Share of the values that become zero and were not."""
        return self.underflowed / self.count


@dataclass(frozen=True)
class TensorProfile:
    """One tensor: its type, its values, and the bits that they need.

    low_code, high_code: smallest and largest code seen. proved_bits: width that no input can exceed; used_bits:
    width that these values needed. spare_fraction: low bits that are zero in every value. bit_use: for each bit of the
    type from the lowest, share of the values whose magnitude has it set (sign bit: share that are negative). cast:
    None for tensors that are exact, or whose values before rounding are not known.
    """

    layer: str
    field: str  # "kernel", "bias", ..., or "output"
    role: Role
    type: FixedPoint
    size: int  # values in one image, or weights
    statistics: Statistics
    low_code: int
    high_code: int
    proved_bits: int
    used_bits: int
    spare_integer: int
    spare_fraction: int
    bit_use: tuple[float, ...]
    cast: Cast | None

    @property
    def name(self) -> str:
        """``layer`` for an output, ``layer.field`` for weights."""
        return self.layer if self.field == "output" else f"{self.layer}.{self.field}"

    @property
    def effective_bits(self) -> int:
        """Bits of the type that are ever needed: its width less integer and fraction bits never used."""
        return self.type.width - self.spare_integer - self.spare_fraction


@dataclass(frozen=True, repr=False)
class Profile(Shown):
    """Every tensor of a network over a data set. classes: labels that occur, ascending; empty without labels."""

    network: str
    digest: str
    images: int
    classes: tuple[int, ...]
    tensors: tuple[TensorProfile, ...]

    @property
    def summary(self) -> Summary:
        """Each tensor: its type, its ends, the bits it needs."""
        rows = [
            (t.name, str(t.type), f"{t.statistics.minimum:.4g}", f"{t.statistics.maximum:.4g}", str(t.used_bits))
            for t in self.tensors
        ]
        line = f"of {self.network} over {self.images:,} images, {len(rows)} tensors"
        return Summary(line, ("tensor", "type", "min", "max", "bits used"), rows)

    def __getitem__(self, name: str) -> TensorProfile:
        for tensor in self.tensors:
            if tensor.name == name:
                return tensor
        raise KeyError(name)

    def of(self, *roles: Role) -> tuple[TensorProfile, ...]:
        """Return the tensors with one of these roles, in network order."""
        return tuple(tensor for tensor in self.tensors if tensor.role in roles)


def profile(
    network: Network,
    codes: Integers,
    labels: Integers | None = None,
    weights: Mapping[str, Floats] | None = None,
) -> Profile:
    """Profile every tensor of `network` over input `codes` (images, *input shape).

    labels: (images,), for overflow by class. weights: the float weights by tensor name (``fc1.kernel``), to see
    what their quantization did.

    Raises: DataError if there are no images or they, the labels or the float weights do not fit.
    """
    outputs = count(network, codes, labels)
    types, ranges = tensor_types(network), intervals(network)
    found: list[TensorProfile] = []
    for layer in network:
        for field, one in weights_of(layer).items():
            found.append(_weight_profile(layer, field, one, (weights or {}).get(f"{layer.name}.{field}")))
        if layer.name in outputs.counters:
            found.append(outputs.profile(layer, types[layer.name], ranges[layer.name]))
    if unknown := set(weights or {}) - {tensor.name for tensor in found}:
        raise DataError(f"float weights name {min(unknown)!r}, which network {network.name!r} has not")
    return Profile(network.name, network.digest, len(codes), outputs.classes, tuple(found))


def count(network: Network, codes: Integers, labels: Integers | None = None) -> Outputs:
    """Run input `codes` (images, *input shape) and count every layer's outputs; labels: (images,), by class too.

    Raises: DataError if there are no images, or they or the labels do not fit.
    """
    if not len(codes):
        raise DataError(f"a profile of {network.name!r} needs at least one image; the data set is empty")
    if labels is not None and np.shape(labels) != (len(codes),):
        raise DataError(f"labels must have shape ({len(codes)},), one for each image, not {np.shape(labels)}")
    outputs = Outputs(network, labels)
    for span, tensors in Emulator(network).stream(codes, outputs.names):
        outputs.add(span, tensors)
    return outputs


def profile_floats(batches: Iterable[Mapping[str, Array]]) -> dict[str, Histogram]:
    """Return the histogram of every float tensor; `batches` yields arrays (images, ...) by layer or tensor name.

    Raises: DataError if there is no batch, or a value is NaN or infinite (says which tensor).
    """
    counters: dict[str, FloatCounter] = {}
    for batch in batches:
        for name, values in batch.items():
            counters.setdefault(name, FloatCounter()).add(values, f"float values of {name!r}")
    if not counters:
        raise DataError("a profile of float activations needs at least one batch of images")
    return {name: counter.histogram() for name, counter in counters.items()}


def noise(network: Network, codes: Integers, batches: Iterable[Mapping[str, Array]]) -> dict[str, float | None]:
    """Return 10 log10(signal / noise) of each layer's output against the float model's, over the same images.

    codes: (images, *input shape). batches: float outputs by layer name, (images, ...), in the order of `codes`.
    None: not one value differs, or every float value is zero.

    Raises: DataError if the batches hold other images than `codes`, or a shape differs.
    """
    emulator, types = Emulator(network), tensor_types(network)
    signal: dict[str, float] = {}
    error: dict[str, float] = {}
    at = 0
    for batch in batches:
        names = [name for name in batch if name in types]
        count = len(next(iter(batch.values())))
        for span, tensors in emulator.stream(codes[at : at + count], names):
            for name in names:
                x = np.asarray(batch[name][span], np.float64)
                y = types[name].decode(tensors[name])
                if x.shape != y.shape:
                    raise DataError(f"float output of {name!r} must have shape {y.shape}, not {x.shape}")
                signal[name] = signal.get(name, 0.0) + float((x * x).sum())
                error[name] = error.get(name, 0.0) + float(((x - y) ** 2).sum())
        at += count
    if at != len(codes):
        raise DataError(f"the float outputs are of {at} images and the codes of {len(codes)}; they must be the same")
    return {name: _decibels(signal[name], error[name]) for name in signal}


def plain(value: Any) -> Any:
    """Return a profile, or any dataclass of this package, as JSON-ready data: types become their text."""
    if isinstance(value, FixedPoint):
        return str(value)
    if is_dataclass(value):
        extra = {"name": value.name, "type_width": value.type.width} if isinstance(value, TensorProfile) else {}
        return extra | {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, StrEnum) else value


def from_record(record: Mapping[str, Any]) -> Profile:
    """Return the profile that `plain` wrote as `record`. Raises: FormatError if it is none."""
    try:
        tensors = tuple(_tensor_from(one) for one in record["tensors"])
        return Profile(record["network"], record["digest"], record["images"], tuple(record["classes"]), tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"this is no profile that fpgaml wrote: {error!r}") from error


def _tensor_from(record: Mapping[str, Any]) -> TensorProfile:
    made = {f.name: record[f.name] for f in fields(TensorProfile)}
    made |= {"role": Role(record["role"]), "type": FixedPoint.parse(record["type"])}
    made |= {"statistics": statistics_from(record["statistics"]), "bit_use": tuple(record["bit_use"])}
    if record["cast"] is not None:
        made["cast"] = Cast(**{**record["cast"], "overflow_by_class": tuple(record["cast"]["overflow_by_class"])})
    return TensorProfile(**made)


def statistics_from(record: Mapping[str, Any]) -> Statistics:
    """Return the statistics that `plain` wrote as `record`."""
    octaves = tuple((int(power), int(count)) for power, count in record["octaves"])
    lists = {"quantiles": tuple(record["quantiles"]), "magnitudes": tuple(record["magnitudes"]), "octaves": octaves}
    return Statistics(**{**record, **lists})


def without_overflow(kind: FixedPoint) -> FixedPoint:
    """Return the type with the same grid and rounding, and as many bits as there are."""
    return FixedPoint(MAX_WIDTH, MAX_WIDTH - kind.fraction, True, kind.rounding, Overflow.SAT)


def safe_codes(layer: Layer, x: Interval) -> tuple[int, int]:
    """Return the smallest and largest code of `x` that the type a layer casts to can hold, after its function.

    The smallest is above the largest if it can hold none.
    """
    kind = layer.cast
    assert kind is not None

    def rounded(code: int) -> int:
        codes, fraction = codes_before_cast(layer, np.array([code], np.int64), x.fraction)
        return int(without_overflow(kind).cast(codes, fraction)[0])

    # Function and rounding never fall as codes rise, so each end is found by bisection.
    first = _bisect(x.low, x.high + 1, lambda code: rounded(code) >= kind.low)
    last = _bisect(x.low, x.high + 1, lambda code: rounded(code) > kind.high) - 1
    return first, last


def _bisect(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """Return the smallest code in [low, high) for which `holds`, which is false and then true; else `high`."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


class Outputs:
    """Counts the outputs of all layers, chunk by chunk, and what their casts could not hold."""

    def __init__(self, network: Network, labels: Integers | None) -> None:
        self.network, self.ranges = network, intervals(network)
        self.counters = {layer.name: CodeCounter() for layer in network if not layer.renames}
        self.casts = {layer.name: layer.sources[0] for layer in network if layer.cast}
        self.safe = {name: safe_codes(network[name], self.ranges[source]) for name, source in self.casts.items()}
        self.names = sorted({*self.counters, *self.casts.values()})
        found = np.zeros(0, np.int64) if labels is None else np.unique(np.asarray(labels))
        self.classes = tuple(int(label) for label in found)
        self._places = None if labels is None else np.searchsorted(found, np.asarray(labels))
        self._images = np.bincount([] if self._places is None else self._places, minlength=len(found)).astype(np.int64)
        self._overflowed = {name: np.zeros(max(1, len(found)), np.int64) for name in self.casts}

    def add(self, span: slice, tensors: Mapping[str, Array]) -> None:
        """Count one chunk: output codes of the layers `names`, for the images of `span`."""
        for name, counter in self.counters.items():
            counter.add(tensors[name])
        for name, source in self.casts.items():
            first, last = self.safe[name]
            interval = self.ranges[source]
            if first <= interval.low and last >= interval.high:
                continue  # no code can overflow
            x = tensors[source].reshape(len(tensors[source]), -1)
            wrong = np.count_nonzero((x < first) | (x > last), axis=1)
            places = np.zeros(len(x), np.int64) if self._places is None else self._places[span]
            np.add.at(self._overflowed[name], places, wrong)

    def profile(self, layer: Layer, kind: FixedPoint, interval: Interval) -> TensorProfile:
        """Return the profile of a layer's output."""
        size = int(np.prod(self.network.shapes[layer.name]))
        computed = layer.result is Result.COMPUTED
        role = Role.INPUT if not layer.sources else Role.ACCUMULATOR if computed else Role.ACTIVATION
        counter = self.counters[layer.name]
        cast = self._cast(layer, layer.cast) if layer.cast else None
        return _tensor(layer.name, "output", role, kind, size, counter, interval, cast)

    def overflowed(self, name: str) -> int:
        """Return how many values of a layer's output its type could not hold."""
        return int(self._overflowed[name].sum()) if name in self._overflowed else 0

    def source(self, layer: Layer) -> tuple[CodeCounter, Interval]:
        """Return the counts of what a layer reads, and the interval it cannot leave."""
        name = layer.sources[0]
        while name not in self.counters:  # a Flatten or Reshape: the same codes
            name = self.network[name].sources[0]
        return self.counters[name], self.ranges[name]

    def _cast(self, layer: Layer, kind: FixedPoint) -> Cast:
        counter, interval = self.source(layer)
        codes, counts = counter.codes()
        before, fraction = codes_before_cast(layer, codes, interval.fraction)
        after = kind.cast(before, fraction)
        lost = (before != 0) & (without_overflow(kind).cast(before, fraction) == 0)
        x, y = np.ldexp(before.astype(np.float64), -fraction), kind.decode(after)
        by_class = self._overflowed[layer.name]
        size = int(np.prod(self.network.shapes[layer.name]))
        shares = tuple(float(s) for s in by_class / (size * self._images)) if self.classes else ()
        return Cast(
            count=int(counts.sum()),
            overflowed=int(by_class.sum()),
            underflowed=int(counts[lost].sum()),
            signal_to_noise_db=_decibels(float((counts * x * x).sum()), float((counts * (x - y) ** 2).sum())),
            overflow_by_class=shares,
            estimated=counter.shift > 0,
        )


def _weight_profile(layer: Layer, field: str, weights: Weights, floats: Floats | None) -> TensorProfile:
    counter = CodeCounter()
    counter.add(weights.codes)
    kind = weights.type
    name = f"{layer.name}.{field}"
    cast = None if floats is None else cast_of_weights(name, weights, floats)
    interval = Interval(int(weights.codes.min()), int(weights.codes.max()), kind.fraction)
    return _tensor(layer.name, field, Role.WEIGHT, kind, weights.codes.size, counter, interval, cast)


def cast_of_weights(name: str, weights: Weights, floats: Floats) -> Cast:
    """Return what the quantization of float weights (same shape) did. Overflow: more than half a step out of range."""
    x = np.asarray(floats, np.float64)
    if x.shape != weights.codes.shape:
        raise DataError(f"float weights of {name!r} must have shape {weights.codes.shape}, not {x.shape}")
    if not np.isfinite(x).all():
        raise DataError(f"float weights of {name!r} must be finite, not NaN or infinite")
    scaled, kind = np.ldexp(x, weights.type.fraction), weights.type
    return Cast(
        count=x.size,
        overflowed=int(np.count_nonzero((scaled > kind.high + 0.5) | (scaled < kind.low - 0.5))),
        underflowed=int(np.count_nonzero((x != 0) & (weights.codes == 0))),
        signal_to_noise_db=_decibels(float((x * x).sum()), float(((x - weights.values) ** 2).sum())),
    )


def _tensor(
    layer: str,
    field: str,
    role: Role,
    kind: FixedPoint,
    size: int,
    counter: CodeCounter,
    interval: Interval,
    cast: Cast | None,
) -> TensorProfile:
    if counter.low is None or counter.high is None:
        raise ConfigError(f"tensor {layer}.{field} has no values to profile")
    needed = smallest(counter.low, counter.high, kind.fraction, signed=None if counter.low < 0 else False)
    codes, counts = counter.codes()
    return TensorProfile(
        layer=layer,
        field=field,
        role=role,
        type=kind,
        size=size,
        statistics=summarize(counter.histogram(kind.fraction)),
        low_code=counter.low,
        high_code=counter.high,
        proved_bits=smallest(interval.low, interval.high, 0).width,
        used_bits=needed.width,
        spare_integer=max(0, kind.width - needed.width),
        spare_fraction=min(counter.spare_bits, needed.width - 1),
        bit_use=_bit_use(codes, counts, kind),
        cast=cast,
    )


def _bit_use(codes: Codes, counts: Codes, kind: FixedPoint) -> tuple[float, ...]:
    """Return the share of the values that has each bit set, lowest first; the sign bit last."""
    sizes, total = np.abs(codes), counts.sum()
    shares = [float(counts[(sizes >> bit) & 1 == 1].sum() / total) for bit in range(kind.width - kind.signed)]
    return tuple([*shares, float(counts[codes < 0].sum() / total)] if kind.signed else shares)


def _decibels(signal: float, error: float) -> float | None:
    """Return 10 log10(signal / error); None without error or without signal."""
    return 10 * log10(signal / error) if signal and error else None
