"""The layout is the architecture: who may import whom, and what must not be imported early."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import fpgaml

PACKAGE = Path(fpgaml.__file__).parent
CORE = {
    "errors": set(),
    "fixed": {"errors"},
    "network": {"errors", "fixed"},
    "accumulate": {"errors", "fixed", "network"},
    "emulate": {"errors", "fixed", "network", "accumulate"},
    "head": {"errors", "fixed", "network", "design"},
    "design": {"errors", "network"},
    "diagram": {"accumulate", "network"},
    "driver": set(),  # it is copied to boards as it is
    "archive": {"errors"},
    "boards": {"errors"},
    "cause": {"errors", "fixed", "network", "accumulate", "emulate"},
    "findings": set(),
    "comparison": {"errors", "fixed", "network", "accumulate", "cause"},
    "dataset": {"errors", "fixed", "runcard", "table"},
    "diagnosis": {"errors", "history"},
    "history": {"errors"},
    "histogram": {"errors", "fixed"},
    "metrics": {"errors", "fixed", "comparison"},
    "pareto": set(),
    "profile": {"errors", "fixed", "network", "accumulate", "emulate", "histogram"},
    "accuracy": {"errors", "network", "emulate", "comparison"},
    "floatmodel": {"errors", "fixed", "network"},
    "posttraining": {"errors", "fixed", "network", "accuracy", "floatmodel", "histogram"},
    "recommend": {"errors", "fixed", "network", "accumulate", "emulate", "comparison", "profile", "floatmodel"},
    "sweep": {"errors", "fixed", "network", "accuracy", "floatmodel"},
    "runcard": {"errors", "network", "design", "boards", "head"},
    "skeleton": {"errors", "fixed", "network", "runcard"},
    "table": {"errors", "fixed", "runcard"},
}
FOREIGN = {"tensorflow", "keras", "qkeras", "hls4ml", "tf_keras"}


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


@pytest.mark.parametrize("name", CORE)
def test_the_core_imports_only_what_is_below_it(name):
    path = PACKAGE / f"{name}.py"
    if not path.exists():
        pytest.fail(f"{name}.py is in the table of the core but not in the package")
    own = {n.split(".")[1] for n in imports(path) if n.startswith("fpgaml.")}
    assert own <= CORE[name], f"{name}.py imports {sorted(own - CORE[name])}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_foreign_machinery_stays_in_its_place(path):
    place = path.relative_to(PACKAGE).parts[0]
    found = {n.split(".")[0] for n in imports(path)} & FOREIGN
    if place == "learn":
        found -= {"tensorflow", "keras", "qkeras"}
    if place == "external":
        found -= {"hls4ml"}
    assert not found, f"{path.name} imports {sorted(found)}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_learn_is_imported_only_inside_functions_that_need_it(path):
    if path.relative_to(PACKAGE).parts[0] == "learn":
        return
    early = [n for n in imports(path, top_only=True) if n.startswith("fpgaml.learn")]
    assert not early, f"{path.name} imports {early} at the top"


def test_import_is_light():
    code = (
        "import sys, fpgaml, fpgaml.cli, fpgaml.emulate, fpgaml.metrics, fpgaml.pipeline, fpgaml.report.estimates\n"
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


def test_no_file_is_named_for_nothing():
    vague = {"utils.py", "base.py", "helpers.py", "manager.py", "core.py", "common.py", "misc.py"}
    assert not [p for p in modules() if p.name in vague]
