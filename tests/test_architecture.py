"""The layout is the architecture: who may import whom, and what must not be imported early."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import fpgaml

PACKAGE = Path(fpgaml.__file__).parent
# Each package, with the floor it stands on: a file imports only from floors below its own, or from its own package.
FLOORS = {
    "errors": 0,
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


def modules():
    return sorted(p for p in PACKAGE.rglob("*.py"))


def imports(path, *, top_only=False):
    """Names of the modules a file imports; with `top_only` leaving out those inside functions and TYPE_CHECKING."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_only else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(path):
    """The modules of fpgaml that a file imports, TYPE_CHECKING and functions included, without the names in them."""
    for name in imports(path):
        if name.startswith("fpgaml."):
            yield name.split(".")[1]


def place_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def misdirected(path, place):
    """The packages that a file of package `place` imports though they stand no lower."""
    return sorted({name for name in own_imports(path) if name != place and FLOORS[name] >= FLOORS[place]})


def test_every_package_has_a_floor():
    found = {place_of(path) for path in modules()} - {"__init__", "__main__"}
    assert found == set(FLOORS)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path):
    if place_of(path) in FLOORS:
        found = misdirected(path, place_of(path))
        assert not found, f"{path.relative_to(PACKAGE)} imports {found}, which stand no lower"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_foreign_machinery_stays_in_its_place(path):
    found = {n.split(".")[0] for n in imports(path)} & set(FOREIGN)
    strangers = sorted(name for name in found if place_of(path) not in FOREIGN[name])
    assert not strangers, f"{path.name} imports {strangers}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_keras_is_imported_only_inside_functions_that_need_it(path):
    if place_of(path) in HEAVY:
        return
    early = [
        name
        for name in imports(path, top_only=True)
        if name.startswith("fpgaml.") and name.split(".")[1] in HEAVY and not name.startswith(LIGHT)
    ]
    assert not early, f"{path.name} imports {early} at the top"


def test_one_class_name_means_one_thing():
    places = {}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(str(path.relative_to(PACKAGE)))
    assert not {name: files for name, files in places.items() if len(files) > 1 and name != "_Walk"}


def test_import_is_light():
    code = (
        "import sys, fpgaml, fpgaml.cli.app, fpgaml.exact.scores, fpgaml.flow.steps, fpgaml.report.estimates\n"
        "heavy = {'tensorflow', 'keras', 'qkeras', 'hls4ml', 'matplotlib', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(f'imported: {sorted(heavy)}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_public_name_exists():
    assert fpgaml.__all__ == sorted(fpgaml.__all__)
    for name in fpgaml.__all__:
        assert getattr(fpgaml, name) is not None


def test_version_is_the_same_everywhere():
    record = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    changelog = (PACKAGE.parent / "CHANGELOG.md").read_text(encoding="utf-8")
    citation = (PACKAGE.parent / "CITATION.cff").read_text(encoding="utf-8")
    assert record["project"]["version"] == fpgaml.__version__
    assert f"[{fpgaml.__version__}]" in changelog
    assert f"version: {fpgaml.__version__}\n" in citation


def test_a_tag_is_the_version():
    """docs/releasing.md: a commit tagged vX.Y.Z has version X.Y.Z in its files."""
    done = subprocess.run(
        ["git", "tag", "--points-at", "HEAD", "v*"], capture_output=True, text=True, check=False, cwd=PACKAGE.parent
    )
    assert set(done.stdout.split()) <= {f"v{fpgaml.__version__}"}


def test_no_file_is_named_for_nothing():
    vague = {"utils.py", "base.py", "helpers.py", "manager.py", "core.py", "common.py", "misc.py"}
    assert not [p for p in modules() if p.name in vague]
