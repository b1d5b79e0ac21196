"""fpgaml: quantized neural networks on FPGAs, proved bit for bit before synthesis.

    import fpgaml

    card    = fpgaml.load_card("models/mnist_mlp_small.toml")
    run     = fpgaml.run(card)            # the whole job; or verb by verb, see fpgaml.verbs

Nothing heavy is imported here: a name is looked up in its module when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Comparison": "comparison",
    "Dataset": "dataset",
    "Design": "design",
    "FixedPoint": "fixed",
    "FpgamlError": "errors",
    "Head": "head",
    "Network": "network",
    "RunCard": "runcard",
    "as_built": "verbs",
    "classify": "comparison",
    "convert": "verbs",
    "convert_model": "conversion",
    "first_difference": "comparison",
    "keras_logits": "verbs",
    "load_card": "runcard",
    "load_data": "verbs",
    "load_network": "network:load",
    "quantize": "verbs",
    "read_model": "verbs",
    "reuse_factors": "design",
    "run": "pipeline",
    "save_network": "network:save",
    "simulate": "verbs",
    "train": "verbs",
    "with_head": "head",
    "write_report": "report",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Import a public name, or a module of the package, when it is first asked for."""
    if name in _HOMES:
        module, _, renamed = _HOMES[name].partition(":")
        return getattr(import_module(f"fpgaml.{module}"), renamed or name)
    try:
        return import_module(f"fpgaml.{name}")
    except ModuleNotFoundError as error:
        raise AttributeError(f"fpgaml has no {name!r}") from error


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
