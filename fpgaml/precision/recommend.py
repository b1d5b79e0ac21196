"""The smallest type for every tensor that meets a stated criterion, and what it saves and changes, measured.

    found = recommend(network, codes, Criterion.OBSERVED, labels)
    found.network          the network with these types
    found.choices          one Choice a tensor: present type, recommended type, why
    found.changed_outputs  how many output values differ on these images, counted by running both

The criteria:

    UNCHANGED  no value of these images changes: types lose bits that nothing uses, and saturate as before
    OBSERVED   no value of these images overflows
    SHARE      at most a share of the values of a tensor overflows on these images
    PROVED     no value can overflow whatever the image: from the interval of the exact sums

Weights always keep their values, and no criterion takes a fraction bit that is ever set. So UNCHANGED changes no bit of
the output, nor do OBSERVED and PROVED if nothing overflowed before: `promised` says which, `changed_outputs` what was
found. Where something did overflow, OBSERVED and PROVED give a wider type, later tensors see other values, and the
search is repeated until no choice changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from fpgaml.errors import ConfigError, nearest
from fpgaml.exact.comparison import classify
from fpgaml.exact.emulate import run
from fpgaml.ir.accumulate import Interval, before_cast, codes_before_cast, output_interval, tensor_types
from fpgaml.ir.fixed import MAX_WIDTH, Codes, FixedPoint, Integers, smallest
from fpgaml.ir.floatmodel import activation_bits, build, from_network, network_sizes, types_of, weight_bits
from fpgaml.ir.network import Layer, Network, Weights
from fpgaml.precision.profile import Outputs, Role, count, profile, without_overflow


class Criterion(StrEnum):
    """What a recommended type promises."""

    UNCHANGED = "unchanged"
    OBSERVED = "observed"
    SHARE = "share"
    PROVED = "proved"


def named_criterion(name: str) -> Criterion:
    """Return the criterion called `name`. Raises: ConfigError."""
    known = [str(one) for one in Criterion]
    if name not in known:
        raise ConfigError(f"criterion must be one of {', '.join(known)}, not {name!r}{nearest(name, known)}")
    return Criterion(name)


@dataclass(frozen=True)
class Choice:
    """The type recommended for one tensor. size: values in one image, or weights."""

    name: str
    role: Role
    present: FixedPoint
    recommended: FixedPoint
    size: int
    reason: str


@dataclass(frozen=True)
class Recommendation:
    """Types for all tensors, with what they change on the images they were found on.

    promised: whether the criterion promises that no output bit changes. changed_outputs: output values that differ,
    as numbers. correct_before, correct_after: right answers; None without labels.
    """

    criterion: Criterion
    share: float
    network: Network
    choices: tuple[Choice, ...]
    images: int
    promised: bool
    changed_outputs: int
    correct_before: int | None
    correct_after: int | None
    weight_bits: tuple[int, int]  # before and after, of all weights together
    activation_bits: tuple[int, int]  # before and after, of all rounded tensors of one image together


def recommend(
    network: Network,
    codes: Integers,
    criterion: Criterion = Criterion.OBSERVED,
    labels: Integers | None = None,
    *,
    share: float = 0.0,
    most_bits: int = MAX_WIDTH,
) -> Recommendation:
    """Return the smallest types that meet `criterion` on input `codes` (images, *input shape).

    labels: (images,), to count right answers before and after. share: of overflowing values, for Criterion.SHARE.
    most_bits: no type may be wider.

    Raises: ConfigError if the share is none, or no type of `most_bits` meets the criterion (says which tensor and
    why); DataError if the images do not fit.
    """
    if not 0 <= share < 1:
        raise ConfigError(f"share of overflowing values must be from 0 to below 1, not {share}")
    if share and criterion is not Criterion.SHARE:
        raise ConfigError(f"a share of overflowing values belongs to criterion 'share', not {str(criterion)!r}")
    before = profile(network, codes, labels)
    overflows = any(t.cast is not None and t.cast.overflowed for t in before.tensors)
    promised = criterion is Criterion.UNCHANGED or (criterion is not Criterion.SHARE and not overflows)
    found, reasons = network, dict[str, str]()
    for _ in range(len(network.layers) + 1):  # a wider type changes what comes after it, layer by layer
        types, reasons = _choose(found, recoded(codes, network, found), criterion, share)
        _check_width(types, reasons, most_bits, str(criterion))
        if types == types_of(found):
            break
        found = retyped(found, types)
    old, new = _outputs(network, codes), _outputs(found, recoded(codes, network, found))
    sizes, present = network_sizes(network), types_of(network)
    choices = [
        Choice(name, before[name].role, kind, types_of(found)[name], sizes[name], reasons[name])
        for name, kind in present.items()
    ]
    right = [None if labels is None else int(np.count_nonzero(classify(y) == np.asarray(labels))) for y in (old, new)]
    return Recommendation(
        criterion=criterion,
        share=share,
        network=found,
        choices=tuple(choices),
        images=len(codes),
        promised=promised,
        changed_outputs=int(np.count_nonzero(old != new)),
        correct_before=right[0],
        correct_after=right[1],
        weight_bits=(weight_bits(sizes, present), weight_bits(sizes, types_of(found))),
        activation_bits=(activation_bits(sizes, present), activation_bits(sizes, types_of(found))),
    )


def retyped(network: Network, types: Mapping[str, FixedPoint]) -> Network:
    """Return the network with other types for some tensors, by tensor name (``fc1.kernel``, ``fc1_relu``).

    Weights are rounded to their new type.
    """
    return build(from_network(network), types_of(network) | dict(types))


def recoded(codes: Integers, network: Network, other: Network) -> Codes:
    """Return input codes of `network` as those of `other`, whose input type may differ."""
    return other.input.type.cast(np.asarray(codes, np.int64), network.input.type.fraction)


def _choose(
    network: Network, codes: Integers, criterion: Criterion, share: float
) -> tuple[dict[str, FixedPoint], dict[str, str]]:
    """Return a type and a reason for every tensor, from one pass over the images."""
    found, reasons = dict[str, FixedPoint](), dict[str, str]()
    for name, kind in types_of(network).items():
        layer_name, _, field = name.partition(".")
        if field:
            found[name], reasons[name] = _for_weights(getattr(network[layer_name], field), kind)
    if criterion is Criterion.PROVED:
        proved, why = _proved(retyped(network, found))
        return found | proved, reasons | why
    outputs = count(network, codes)
    for layer in network:
        if layer.own_type:
            kept = criterion is Criterion.UNCHANGED and bool(outputs.overflowed(layer.name))
            found[layer.name], reasons[layer.name] = (
                (layer.own_type, "saturates or wraps on these images as it is")
                if kept
                else _for_data(layer, layer.own_type, outputs, share)
            )
    return found, reasons


def _for_weights(weights: Weights, kind: FixedPoint) -> tuple[FixedPoint, str]:
    """Return the narrowest type that holds each weight exactly."""
    codes = weights.codes
    bits = int(np.bitwise_or.reduce(codes, axis=None))
    spare = _trailing_zeros(bits)
    found = smallest(int(codes.min()) >> spare, int(codes.max()) >> spare, kind.fraction - spare)
    return found, "all weights are zero" if not bits else "holds every weight exactly"


def _for_data(layer: Layer, kind: FixedPoint, outputs: Outputs, share: float) -> tuple[FixedPoint, str]:
    """Return the narrowest type for what a layer rounds to `kind` on these images."""
    if layer.cast is not None:
        counter, x = outputs.source(layer)
        codes, counts = counter.codes()
        results = _unlimited(layer, kind, codes, x.fraction)
        low, high = (int(code) for code in _unlimited(layer, kind, np.array([counter.low, counter.high]), x.fraction))
        exact = counter.shift == 0
    else:  # what comes in, or a mean, which its inputs bound
        counter = outputs.counters[layer.name]
        assert counter.low is not None
        assert counter.high is not None
        results, counts = counter.codes()
        low, high, exact = counter.low, counter.high, counter.shift == 0
    spare = _trailing_zeros(int(np.bitwise_or.reduce(results))) if exact else 0
    low, high = low >> spare, high >> spare
    found = _fitting(kind, low, high, kind.fraction - spare)
    if share:
        found = _narrowed(found, results >> spare, counts, share)
    span = f"values from {_text(low, found.fraction)} to {_text(high, found.fraction)}"
    return found, f"{span} on these images" + (" (constant)" if low == high else "")


def _fitting(kind: FixedPoint, low: int, high: int, fraction: int) -> FixedPoint:
    """Return the narrowest type for codes from low to high with the modes of `kind`."""
    fits = smallest(low, high, fraction)
    found = replace(kind, width=fits.width, integer=fits.integer, signed=fits.signed)
    if found.low > low:  # SAT_SYM has no code for the lowest
        found = replace(found, width=fits.width + 1, integer=fits.integer + 1)
    return found


def _narrowed(kind: FixedPoint, codes: Codes, counts: Codes, share: float) -> FixedPoint:
    """Return `kind` with the fewest integer bits of which at most a share of the codes is out of range."""
    total = int(counts.sum())
    while kind.width > 1 + kind.signed:
        fewer = replace(kind, width=kind.width - 1, integer=kind.integer - 1)
        out = int(counts[(codes < fewer.low) | (codes > fewer.high)].sum())
        if out > share * total:
            return kind
        kind = fewer
    return kind


def _proved(network: Network) -> tuple[dict[str, FixedPoint], dict[str, str]]:
    """Return the narrowest types that no input can overflow, layer by layer with those before it."""
    ranges: dict[str, Interval] = {}
    found, reasons = dict[str, FixedPoint](), dict[str, str]()
    for layer in network:
        inputs = tuple(ranges[source] for source in layer.sources)
        kind = layer.own_type
        if kind and inputs:
            x = before_cast(layer, inputs[0])
            if x.bits >= MAX_WIDTH:
                raise ConfigError(
                    f"tensor {layer.name!r}: no type meets criterion 'proved': its values can need {x.bits} bits, more "
                    f"than {MAX_WIDTH - 1}; use criterion 'observed', or give the layers before it narrower types"
                )
            ends = without_overflow(kind).cast(np.array([x.low, x.high]), x.fraction)
            kind = _fitting(kind, int(ends[0]), int(ends[1]), kind.fraction)
            layer = replace(layer, type=kind)  # type: ignore[call-arg]
            found[layer.name] = kind
            span = f"values from {_text(int(ends[0]), kind.fraction)} to {_text(int(ends[1]), kind.fraction)}"
            reasons[layer.name] = f"{span} for any image"
        elif kind:
            found[layer.name], reasons[layer.name] = kind, "any image"
        ranges[layer.name] = output_interval(layer, *inputs)
    return found, reasons


def _unlimited(layer: Layer, kind: FixedPoint, codes: Codes, fraction: int) -> Codes:
    """Return what a cast to `kind` gives for codes when it has all the integer bits there are."""
    before, fine = codes_before_cast(layer, codes, fraction)
    return without_overflow(kind).cast(before, fine)


def _trailing_zeros(bits: int) -> int:
    return (bits & -bits).bit_length() - 1 if bits else 0


def _text(code: int, fraction: int) -> str:
    return f"{code * 2.0**-fraction:g}"


def _check_width(types: Mapping[str, FixedPoint], reasons: Mapping[str, str], most_bits: int, criterion: str) -> None:
    for name, kind in types.items():
        if kind.width > most_bits:
            raise ConfigError(
                f"tensor {name!r}: no type of at most {most_bits} bits meets criterion {criterion!r}; it needs "
                f"{kind.width} bits ({kind}): {reasons[name]}"
            )


def _outputs(network: Network, codes: Integers) -> NDArray[np.float64]:
    """Return the output values (images, *output shape)."""
    return tensor_types(network)[network.output.name].decode(run(network, codes))
