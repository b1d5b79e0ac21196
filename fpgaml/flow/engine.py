"""The engine: does the steps of a run whose inputs changed, in order, and tells a listener.

    engine = Engine(STEPS, workspace, listener)
    engine.do(engine.between("convert", None))      from convert to the last

    Step          a function on a `Workspace`, with the files it needs and makes and what else decides its result
    Listener      who is told how it goes

A step is skipped if `Engine.digest` of what would decide its result now is the digest of what did, and what it made is
still there, unchanged. What decides is: the files it needs and those that its card sections name, these sections, the
versions of its packages, and fpgaml's own sources. So a change of anything is followed by the steps it can matter to.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from fpgaml.card.runcard import RunCard
from fpgaml.card.sections import module_file
from fpgaml.datasets.dataset import NAMED
from fpgaml.errors import ConfigError, nearest
from fpgaml.runs.workspace import Workspace, digest_of


class Listener(Protocol):
    """Who is told how a run goes. All methods may do nothing."""

    def started(self, step: str) -> None:
        """A step begins."""

    def progress(self, done: int, total: int, text: str) -> None:
        """A step has done so much of its work."""

    def finished(self, step: str, seconds: float, summary: str, skipped: bool) -> None:
        """A step is done, or was done before and is skipped."""


class Silent:
    """A listener that says nothing."""

    def started(self, step: str) -> None: ...
    def progress(self, done: int, total: int, text: str) -> None: ...
    def finished(self, step: str, seconds: float, summary: str, skipped: bool) -> None: ...


class Step(NamedTuple):
    """One step: the function, what it reads and writes, the card sections and packages that decide its result.

    The function returns one line on what it found.
    """

    name: str
    run: Callable[[Workspace, Listener], str]
    needs: tuple[str, ...]
    makes: tuple[str, ...]
    sections: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Engine:
    """The steps there are, the run they work on, and who is told."""

    steps: Sequence[Step]
    workspace: Workspace
    listener: Listener = field(default_factory=Silent)

    def between(self, first: str | None, last: str | None) -> tuple[str, ...]:
        """Return the names of the steps from `first` to `last`; None: from the first, to the last there is.

        Raises: ConfigError for a step that there is not, or the wrong order.
        """
        names = tuple(step.name for step in self.steps)
        for name in (first, last):
            if name is not None and name not in names:
                raise ConfigError(f"there is no step {name!r}{nearest(name, names)}; the steps are {', '.join(names)}")
        begin = names.index(first or names[0])
        end = names.index(last or names[-1])
        if begin > end:
            raise ConfigError(f"step {first!r} comes after {last!r}; the order is {', '.join(names)}")
        return names[begin : end + 1]

    def do(self, names: Iterable[str], force: Collection[str] = ()) -> None:
        """Do the named steps, each unless what it is made from is unchanged; those in `force` in any case.

        Raises: ConfigError if what a step needs is missing; whatever a step raises.
        """
        for name in names:
            self._do(self[name], name in force)

    def unchanged(self, name: str) -> bool:
        """Return whether a step was done with what it would be done with now; not whether what it made is there."""
        return self.workspace.state.get(name, {}).get("digest") == self.digest(self[name])

    def __getitem__(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)

    def _do(self, step: Step, force: bool) -> None:
        workspace = self.workspace
        self._check_needs(step)
        before = workspace.state.get(step.name, {})
        if not force and self.unchanged(step.name) and before.get("made") == self._made(step):
            self.listener.finished(step.name, before["seconds"], before["summary"], skipped=True)
            return
        digest = self.digest(step)
        workspace.forget(step.name)
        self.listener.started(step.name)
        start = time.perf_counter()
        summary = step.run(workspace, self.listener)
        seconds = time.perf_counter() - start
        workspace.renewed(step.makes)
        workspace.state[step.name] = {
            "digest": digest,
            "made": self._made(step),
            "seconds": round(seconds, 3),
            "summary": summary,
        }
        workspace.save_state()
        self.listener.finished(step.name, seconds, summary, skipped=False)

    def _check_needs(self, step: Step) -> None:
        missing = [name for name in step.needs if not (self.workspace / name).exists()]
        if missing:
            maker = next(s.name for s in self.steps if missing[0] in s.makes)
            raise ConfigError(
                f"step {step.name!r} needs {self.workspace / missing[0]}, which step {maker!r} makes; run that first"
            )

    @cached_property
    def _card(self) -> dict[str, Any]:
        return self.workspace.card.model_dump(mode="json")

    def digest(self, step: Step) -> str:
        """Return one digest of all that decides what a step makes."""
        workspace = self.workspace
        record = {
            "step": step.name,
            "name": workspace.card.name,
            "card": {section: self._card[section] for section in step.sections},
            "needs": {name: workspace.digest(workspace / name) for name in step.needs},
            "versions": {name: installed(name) for name in step.packages} | {"fpgaml": own_digest()},
            "files": named_files(workspace.card, step.sections, workspace.digest),
        }
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()

    def _made(self, step: Step) -> dict[str, str]:
        return {name: self.workspace.digest(self.workspace / name) for name in step.makes}


def named_files(card: RunCard, sections: Collection[str], digest: Callable[[Path], str] = digest_of) -> dict[str, str]:
    """Return what the files hold that some sections of a card name, as digests: a changed file changes the step.

    Sets that never change have their name instead. A card named as teacher counts, the files that it names do not.
    """
    source, teacher, module = card.data.source, card.compression.teacher, card.model.function.partition(":")[0]
    found = {}
    if "data" in sections:
        found["data"] = source if source in NAMED else digest(card.folder / source)
        others = {"test": card.data.test, "validation": card.data.validation}
        found |= {what: digest(card.folder / name) for what, name in others.items() if name}
    if "compression" in sections and teacher:
        found["teacher"] = digest(card.folder / teacher)
    if "model" in sections and module:
        found["function"] = digest(module_file(module, card.folder))
    return found


@cache
def own_digest() -> str:
    """Return a digest of fpgaml itself: its version, and its sources, so that a changed step is done again."""
    package = Path(__file__).parents[1]
    sha = hashlib.sha256(installed("fpgaml").encode())
    for path in sorted([*package.rglob("*.py"), *package.rglob("*.in"), *package.rglob("*.j2")]):
        sha.update(path.read_bytes())
    return sha.hexdigest()


@cache
def installed(package: str) -> str:
    """Return the version of a package that is installed."""
    return version(package)
