"""Prove a project: run its C++ on symbols, judge every layer, and write down what was assumed.

certificate = certify(network, folder, log=...)      see exact/certificate.py
"""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fpgaml.backend.cpp import Project
from fpgaml.backend.explore import FLAGS, SYMBOLIC, compiler_version, explore
from fpgaml.exact.certificate import Certificate
from fpgaml.exact.prove import judge
from fpgaml.ir.network import Network
from fpgaml.target.process import find_tool

HEADERS = ("ap_types", "nnet_utils")


def prove(project: Project, *, log: Path | None = None) -> Certificate:
    """Prove that the C++ of a project computes its network for every input, or say of which layers that is not known.

    Raises: as `certify`.
    """
    design = project.design
    named = {"backend": str(design.backend), "io_type": str(design.io_type), "strategy": str(design.strategy)}
    return certify(project.network, project.folder, named, log=log or project.folder.with_suffix(".prove.log"))


def certify(network: Network, folder: Path, design: dict[str, str], *, log: Path) -> Certificate:
    """Return the certificate of the project in `folder`. design: what is said of how it was built.

    Raises: as `explore`.
    """
    seconds: dict[str, float] = {}
    with _timed(seconds, "run on symbols"):
        run = explore(network, folder, log=log)
    with _timed(seconds, "judge"):
        verdicts = judge(network, run)
    assumptions = {
        "compiler": f"{compiler_version(find_tool('g++', 'to prove'))}; {' '.join(FLAGS)}",
        "processor": platform.machine(),
        "headers": {name: digest_of_sources(folder / "firmware" / name) for name in HEADERS},
        "symbolic types": digest_of_sources(SYMBOLIC),
    }
    return Certificate(network, design, tuple(verdicts), assumptions, run.counts, seconds)


@contextmanager
def _timed(seconds: dict[str, float], what: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[what] = round(time.perf_counter() - start, 2)


def digest_of_sources(folder: Path) -> str:
    """Return the SHA-256 of all files in a folder, with their names."""
    sha = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        sha.update(f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return sha.hexdigest()
