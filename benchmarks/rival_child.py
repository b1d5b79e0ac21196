"""Runs inside the child process of the benchmark: the same network by hls4ml's own path, timed step by step.

    python -P hls4ml_rival.py REQUEST.json WEIGHTS.npz IMAGES.npy RESULT.json

Convert and write, compile with hls4ml's own script, predict with hls4ml's own ``predict`` (float in, float out,
one thread). The layer list is the one fpgaml makes, so that both sides run the very same network.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.modules["keras"] = None  # type: ignore[assignment]  # see hls4ml_child.py: the rival profits from it too

import hls4ml  # noqa: E402
import numpy as np  # noqa: E402
from hls4ml.model.graph import ModelGraph  # noqa: E402


def main(request_path: str, weights_path: str, images_path: str, result_path: str) -> None:
    """Do the steps and write their times in seconds, with the outputs of predict beside."""
    # As hls4ml_child.py reads it. Not shared: these two children are one file each and import nothing of fpgaml, so
    # that `python -P` runs them as they lie here, whatever fpgaml is installed.
    request = json.loads(Path(request_path).read_text(encoding="utf-8"))
    with np.load(weights_path) as file:
        weights = {key: file[key] for key in file.files}
    layers = [
        {key: weights[value["array"]] if isinstance(value, dict) else value for key, value in layer.items()}
        for layer in request["layers"]
    ]
    images = np.load(images_path)
    start = time.perf_counter()
    config = hls4ml.utils.config.create_config(**request["project"])
    config["HLSConfig"] = request["config"]
    model = ModelGraph.from_layer_list(config, layers, request["inputs"], request["outputs"])
    model.write()
    converted = time.perf_counter()
    model._compile()
    compiled = time.perf_counter()
    predict = []
    for _ in range(request["repeats"]):
        begin = time.perf_counter()
        outputs = model.predict(images)
        predict.append(time.perf_counter() - begin)
    record = {"convert": converted - start, "compile": compiled - converted, "predict": predict}
    np.save(Path(result_path).with_suffix(".npy"), outputs.reshape(len(images), -1))
    Path(result_path).write_text(json.dumps(record), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:5])
