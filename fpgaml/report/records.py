"""The records that report.json is made of, each field as it is written; what is not known is None."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ExecutionRecord:
    """How one execution did; logits are compared with those of C simulation."""

    name: str
    accuracy: float | None
    agreement_with_float: float | None
    mismatching_logits: int | None


@dataclass(frozen=True)
class DisagreementRecord:
    """A test image that the hardware puts into another class than the float network."""

    image: int
    label: int
    float: int
    hardware: int


@dataclass(frozen=True)
class ComparisonRecord:
    """The executions side by side, and what was proved. layers: compared values by executor and layer."""

    executions: Sequence[ExecutionRecord]
    logits: int
    proved: bool
    failure: str
    no_reference: str
    layers: Mapping[str, Mapping[str, int]]
    confusion: Mapping[str, Sequence[Sequence[int]]]
    disagreements: Sequence[DisagreementRecord]


@dataclass(frozen=True)
class LayerSize:
    """How large a layer is: parameters, those that are not zero, bits of storage."""

    layer: str
    parameters: int
    nonzero: int
    bits: int


@dataclass(frozen=True)
class SizeRecord:
    """How large a network is: layer by layer, in all, and in float32."""

    layers: Sequence[LayerSize]
    parameters: int
    nonzero: int
    bits: int
    float32_bits: int


@dataclass(frozen=True)
class TensorRecord:
    """The effective type of a tensor."""

    layer: str
    tensor: str
    shape: Sequence[int]
    type: str


@dataclass(frozen=True)
class TrainingRecord:
    """A training in a few figures: epochs done, the one kept (from 1; 0: none), seconds, why it ended."""

    epochs: int
    kept: int
    seconds: float
    ended: str
    val_accuracy: float | None


@dataclass(frozen=True)
class DesignRecord:
    """How the network was built. reuse_factor: by layer, of those with weights."""

    backend: str
    part: str
    clock_ns: float
    io_type: str
    strategy: str
    reuse_factor: Mapping[str, int]
