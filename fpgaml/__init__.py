"""fpgaml: quantized neural networks on FPGAs, proved bit for bit before synthesis.

    import fpgaml

    card    = fpgaml.load_card("models/mnist_mlp_small.toml")
    run     = fpgaml.run(card)            # the whole job; or verb by verb, see fpgaml.flow.verbs

Nothing heavy is imported here: a name is looked up in its module when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Comparison": "exact.comparison",
    "Dataset": "datasets.dataset",
    "Design": "target.design",
    "FixedPoint": "ir.fixed",
    "FpgamlError": "errors",
    "Head": "target.output_head",
    "Network": "ir.network",
    "RunCard": "card.runcard",
    "as_built": "card.built",
    "classify": "exact.comparison",
    "convert": "backend.cpp",
    "convert_model": "flow.foreign",
    "first_difference": "exact.comparison",
    "keras_logits": "flow.verbs",
    "load_card": "card.toml",
    "load_data": "datasets.sources",
    "load_network": "ir.saving:load",
    "prove": "backend.certify",
    "quantize": "flow.verbs",
    "read_model": "flow.verbs",
    "reuse_factors": "target.design",
    "run": "flow.steps",
    "save_network": "ir.saving:save",
    "simulate": "backend.cpp",
    "train": "flow.verbs",
    "with_head": "target.output_head",
    "write_report": "report",
}
_MODULES = {
    "accumulate": "ir.accumulate",
    "emulate": "exact.emulate",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Import a public name, or a module of the package, when it is first asked for."""
    if name in _HOMES:
        module, _, renamed = _HOMES[name].partition(":")
        return getattr(import_module(f"fpgaml.{module}"), renamed or name)
    try:
        return import_module(f"fpgaml.{_MODULES.get(name, name)}")
    except ModuleNotFoundError as error:
        raise AttributeError(f"fpgaml has no {name!r}") from error


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
