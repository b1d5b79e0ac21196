"""Runs inside the child process: hand hls4ml a list of plain layers and let it write the project.

    python -P hls4ml_child.py REQUEST.json WEIGHTS.npz

Nothing here decides anything: every type, strategy and reuse factor is in the request. The process is there so
that hls4ml's registries, prints and warnings touch no one else.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

# hls4ml's writer imports Keras only to describe a Keras model in its YAML file; there is none, and it costs seconds.
sys.modules["keras"] = None  # type: ignore[assignment]

import hls4ml  # noqa: E402
import numpy as np  # noqa: E402
from hls4ml.model.flow.flow import update_flow  # noqa: E402
from hls4ml.model.graph import ModelGraph  # noqa: E402

# Passes that would change a network that is exact already: they fold, merge or drop layers by their own types.
UNWANTED = [
    "fuse_batch_normalization",
    "fuse_consecutive_batch_normalization",
    "merge_linear_activation",
    "qkeras_factorize_alpha",
    "extract_ternary_threshold",
]


def main(request_path: str, weights_path: str) -> None:
    """Convert and write the project that the request describes."""
    request = json.loads(Path(request_path).read_text(encoding="utf-8"))
    with np.load(weights_path) as file:
        weights = {key: file[key] for key in file.files}
    layers = [
        {key: weights[value["array"]] if isinstance(value, dict) else value for key, value in layer.items()}
        for layer in request["layers"]
    ]
    update_flow("convert", remove_optimizers=UNWANTED)
    config = hls4ml.utils.config.create_config(**request["project"])
    config["HLSConfig"] = request["config"]
    config["TraceOutput"] = True
    model = ModelGraph.from_layer_list(config, layers, request["inputs"], request["outputs"])
    model.write()


if __name__ == "__main__":
    main(*sys.argv[1:3])
