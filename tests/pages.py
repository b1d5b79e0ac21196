"""The page's own code against the emulator, in a real browser: 100 golden images, 1,000 random ones, 30 networks.

    python -m tests.pages

Every layer of every image of the three trained networks and of networks as the hunt draws them: 0 codes may differ.
Also printed: how long an image takes, the comparison in Python with it.
"""

import sys
import time
from pathlib import Path

import numpy as np

from fpgaml.datasets.dataset import load
from fpgaml.errors import FpgamlError
from fpgaml.exact import emulate
from fpgaml.ir.fixed import FixedPoint
from fpgaml.ir.saving import load as load_network
from fpgaml.report.page.network import codes_record, network_record
from tests.report.browser import launched

ROOT = Path(__file__).parents[1]
CODE = ROOT / "fpgaml" / "report" / "page" / "exact.js"
TRACE = """([net, images]) => {
    exact.unpack(net);
    const input = exact.decoded(images), size = input.length / images.shape[0];
    return Array.from({length: images.shape[0]}, (_, at) => {
        const found = exact.trace(net, input.slice(at * size, (at + 1) * size));
        return Object.fromEntries(Object.entries(found).map(([name, y]) => [name, Array.from(y.codes, String)]));
    });
}"""


def opened(browser):
    """Return a page that has the exact network's code and nothing else."""
    page = browser.new_page()
    page.set_content(f"<script>{CODE.read_text(encoding='utf-8')}; window.exact = exact;</script>")
    return page


def differing(page, network, codes):
    """Return how many codes of any layer are not the emulator's, and how many were compared."""
    ours = emulate.trace(network, codes)
    theirs = page.evaluate(TRACE, [network_record(network), codes_record(codes)])
    count = total = 0
    for at, found in enumerate(theirs):
        assert list(found) == [layer.name for layer in network]
        for name, values in found.items():
            expected = ours[name][at].ravel().tolist()
            assert len(values) == len(expected)
            count += sum(int(a) != b for a, b in zip(values, expected, strict=True))
            total += len(values)
    return count, total


def any_codes(network, count, seed):
    """Return random codes of a network's input, the lowest and the highest among them."""
    kind, dims = network.input.type, network.input.dims
    codes = np.random.default_rng(seed).integers(kind.low, kind.high + 1, (count, *dims))
    codes[0], codes[1] = kind.low, kind.high
    return codes


def networks_of_the_hunt(count):
    """Yield networks of random layers, quantizers, widths and shapes."""
    from fpgaml.frontend.read import read
    from tests import hunt

    made = 0
    for spec in hunt.draw_specs(1, 4 * count):
        try:
            kind = FixedPoint.parse(spec.input_type)
            network = read(hunt.keras_model(spec), name="net", input_type=kind).network
        except FpgamlError:
            continue
        yield network
        made += 1
        if made == count:
            return


def main() -> int:
    """Print what was compared; return 1 if a code differs."""
    wrong, golden = 0, load("mnist").x_test[:100]
    for browser in launched():
        page = opened(browser)
        for name in ("mnist_mlp", "mnist_mlp_small", "mnist_cnn"):
            network = load_network(ROOT / "models" / "trained" / name / "network.npz")
            images = np.concatenate([golden, any_codes(network, 1000, 0)])
            begun, found = time.monotonic(), np.zeros(2, int)
            for part in np.array_split(images, 11):
                found += differing(page, network, part)
            each = 1000 * (time.monotonic() - begun) / len(images)
            wrong += found[0]
            print(f"{name}: {len(images):,} images, {found[0]:,} of {found[1]:,} codes differ; {each:.1f} ms an image")
        found, many = np.zeros(2, int), 0
        for network in networks_of_the_hunt(30):
            found += differing(page, network, any_codes(network, 20, 1))
            many += 1
        wrong += found[0]
        print(f"hunt: {many} networks, 20 images each, {found[0]:,} of {found[1]:,} codes differ")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
