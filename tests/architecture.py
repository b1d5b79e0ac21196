"""The layout of fpgaml as a table, what breaks it, and its figures.

python -m tests.architecture            rooms, floors, arrows and cycles, from the imports as they are
python -m tests.architecture --draw     and docs/architecture.svg anew
"""

import ast
import sys
from collections.abc import Container, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import fpgaml
from tests.architecture_picture import draw

PACKAGE = Path(fpgaml.__file__).parent
PICTURE = PACKAGE.parent / "docs" / "architecture.svg"
# Each package, with the floor it stands on: a file imports only from floors below its own, or from its own package.
FLOORS = {
    "errors": 0,
    "whole": 0,
    "quoting": 0,
    "ir": 1,
    "exact": 2,
    "target": 2,
    "precision": 3,
    "estimate": 3,
    "card": 3,
    "datasets": 4,
    "frontend": 5,
    "training": 6,
    "backend": 6,
    "runs": 7,
    "project": 7,
    "audit": 7,
    "report": 8,
    "flow": 9,
    "cli": 10,
}
HEAVY = {"frontend", "training"}  # Keras is at the top of their files: they are imported inside functions only
LIGHT = ("fpgaml.frontend.findings",)  # but for these, which hold names and texts
FOREIGN = {
    "tensorflow": {"frontend", "training"},
    "keras": {"frontend", "training", "datasets"},
    "qkeras": {"frontend", "training"},
    "hls4ml": {"backend"},
    "tf_keras": set(),
}


def modules() -> dict[str, Path]:
    """Return every module of fpgaml by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ("fpgaml", *path.relative_to(PACKAGE).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def room(name: str) -> str:
    """Return the package (or the module at the top) that a module stands in; '' for fpgaml itself."""
    return ".".join(name.split(".")[1:2])


def imports(source: str, name: str, *, top_only: bool = False) -> Iterator[str]:
    """Give the names that the source of module `name` imports: in functions, under TYPE_CHECKING and by a text too.

    top_only: at the top of the file alone, which is what importing it costs.
    """
    tree = ast.parse(source)
    for node in tree.body if top_only else ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                above = name.split(".")[:-level] if level else []
                origin = ".".join([*above, *([module] if module else [])])
                yield from (f"{origin}.{alias.name}" for alias in names)
            case ast.Call(func=ast.Name(id="import_module" | "__import__"), args=[ast.Constant(value=str(text)), *_]):
                yield text
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(text)), *_]):
                yield text


def faults(source: str, name: str) -> list[str]:
    """Return everything in which the source of module `name` breaks the layout, a sentence each."""
    here = room(name)
    if here not in FLOORS:
        return [] if name in ("fpgaml", "fpgaml.__main__") else [f"{name} stands on no floor"]
    found = set()
    for other in imports(source, name):
        first, there = other.split(".")[0], room(other)
        if first == "fpgaml" and there not in ("", here) and FLOORS.get(there, len(FLOORS)) >= FLOORS[here]:
            found.add(f"{name} imports {there}, which stands no lower")
        if here not in FOREIGN.get(first, {here}):
            found.add(f"{name} imports {first}, which only {sorted(FOREIGN[first])} may")
    if here not in HEAVY:
        for other in imports(source, name, top_only=True):
            if room(other) in HEAVY and other.startswith("fpgaml.") and not other.startswith(LIGHT):
                found.add(f"{name} imports {room(other)} at the top, and Keras with it")
    return sorted(found)


def graph(sources: dict[str, str]) -> dict[str, set[str]]:
    """Return for each module those that it imports, of modules given by name and source."""
    found = {name: {module_of(other, sources) for other in imports(text, name)} for name, text in sources.items()}
    return {name: others - {"", "fpgaml"} for name, others in found.items()}


def module_of(name: str, sources: Container[str]) -> str:
    """Return the module that an imported name is, or is in; '' if it is none of ours."""
    while name and name not in sources:
        name = name.rpartition(".")[0]
    return name


def cycle(arrows: dict[str, set[str]]) -> list[str]:
    """Return a cycle of imports, its first module last again; [] if there is none."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def sources() -> dict[str, str]:
    """Return the source of every module of fpgaml by its name."""
    return {name: path.read_text(encoding="utf-8") for name, path in modules().items()}


def rooms(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return for each package those that its modules import."""
    found: dict[str, set[str]] = {place: set() for place in FLOORS}
    for name, others in arrows.items():
        if room(name) in FLOORS:
            found[room(name)] |= {room(other) for other in others} - {room(name), ""}
    return found


def figures() -> dict[str, int]:
    """Return the figures of the layout as it is: each falls if the house gets simpler."""
    arrows = graph(sources())
    between = rooms(arrows)
    return {
        "rooms at the top level": len({room(name) for name in arrows} - {"", "__main__"}),
        "floors": 1 + max(FLOORS.values()),
        "arrows between packages": sum(map(len, between.values())),
        "modules": len(arrows),
        "arrows between modules": sum(map(len, arrows.values())),
        "cycles": int(bool(cycle(arrows))) + int(bool(cycle(between))),
    }


def lines() -> list[str]:
    """Return the table of packages for docs/architecture.md, from above: floor, name, and its own first line."""
    texts = sources()
    said = {name: (ast.get_docstring(ast.parse(texts[f"fpgaml.{name}"])) or "").splitlines()[0] for name in FLOORS}
    return [f"| {floor} | `{name}` | {said[name]} |" for name, floor in reversed(FLOORS.items())]


def picture() -> str:
    """Return the picture of the packages as they import each other now."""
    return draw(FLOORS, rooms(graph(sources())))


if __name__ == "__main__":
    for what, number in figures().items():
        sys.stdout.write(f"{number:5}  {what}\n")
    if "--draw" in sys.argv:
        PICTURE.write_text(picture(), encoding="utf-8")
        sys.stdout.write("\n".join(["", *lines(), ""]))
