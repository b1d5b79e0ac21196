"""The layout is the architecture: who may import whom, and what must not be imported early."""

import ast
import subprocess
import sys
import tomllib

import pytest

import fpgaml
from tests import architecture
from tests.architecture import FLOORS, PACKAGE, PICTURE, cycle, faults, figures, graph, modules, room, rooms, sources
from tests.architecture_picture import HOLDS, shortest

DOC = PICTURE.with_suffix(".md")


@pytest.mark.parametrize("name", modules())
def test_imports_go_down_and_foreign_machinery_stays_in_its_place(name):
    assert faults(sources()[name], name) == []


def test_every_package_has_a_floor():
    assert {room(name) for name in modules()} - {"", "__main__"} == set(FLOORS)


PLANTED = {
    "up to a higher floor": ("fpgaml.ir.network", "from fpgaml.exact import emulate", "exact, which stands no lower"),
    "up to the command line": ("fpgaml.target.reports", "import fpgaml.cli.app", "cli, which stands no lower"),
    "beside on the same floor": (
        "fpgaml.exact.cause",
        "from fpgaml.target.design import Design",
        "target, which stands",
    ),
    "by the package itself": ("fpgaml.report.figures", "from fpgaml import flow", "flow, which stands no lower"),
    "under TYPE_CHECKING": (
        "fpgaml.card.layers",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from fpgaml.runs.workspace import Workspace",
        "runs, which stands no lower",
    ),
    "inside a function": (
        "fpgaml.precision.sweep",
        "def f():\n    from fpgaml.training import fit",
        "training, which stands no lower",
    ),
    "with dots": ("fpgaml.report.results", "from ..flow import verbs", "flow, which stands no lower"),
    "by a text": (
        "fpgaml.ir.saving",
        "from importlib import import_module\nimport_module('fpgaml.frontend.read')",
        "frontend, which stands no lower",
    ),
    "of a package that is not there": (
        "fpgaml.cli.run",
        "from fpgaml.bench import run",
        "bench, which stands no lower",
    ),
    "of foreign machinery": ("fpgaml.exact.emulate", "import tensorflow as tf", "tensorflow, which only"),
    "of hls4ml outside its package": ("fpgaml.project.axi", "from hls4ml.model import graph", "hls4ml, which only"),
    "of Keras at the top": ("fpgaml.flow.verbs", "from fpgaml.training import fit", "at the top, and Keras with it"),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_import_is_found(kind):
    name, source, reason = PLANTED[kind]
    (found,) = faults(source, name)
    assert found.startswith(f"{name} imports ")
    assert reason in found


def test_a_module_outside_every_package_is_found():
    assert faults("", "fpgaml.utils") == ["fpgaml.utils stands on no floor"]


def test_what_is_allowed_is_not_found():
    light = "from fpgaml.frontend.findings import Finding\nfrom fpgaml.ir import network\nimport numpy\n"
    inside = "def f():\n    from fpgaml.frontend import store\n"
    assert faults(light + inside, "fpgaml.audit.audit") == []


def test_modules_import_each_other_in_no_circle():
    assert cycle(graph(sources())) == []
    assert cycle(rooms(graph(sources()))) == []


@pytest.mark.parametrize(
    "back",
    [
        "from fpgaml.flow import one",
        "from fpgaml.flow.one import ONE",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from fpgaml.flow.one import One",
        "def f():\n    import fpgaml.flow.one",
        "from . import one",
    ],
)
def test_a_planted_circle_is_found(back):
    two = "from fpgaml.flow import three"
    planted = {"fpgaml.flow.one": "from fpgaml.flow.two import TWO", "fpgaml.flow.two": two, "fpgaml.flow.three": back}
    found = cycle(graph(planted))
    assert found[0] == found[-1]
    assert set(found) == set(planted)
    assert cycle(graph(planted | {"fpgaml.flow.three": ""})) == []


def test_the_figures_stay_small():
    found = figures()
    assert found["rooms at the top level"] <= 22
    assert found["floors"] <= 11
    assert found["arrows between packages"] <= 110
    assert found["cycles"] == 0


def test_the_picture_is_fresh():
    fresh = architecture.picture()
    assert PICTURE.read_text(encoding="utf-8") == fresh, "draw it anew: python -m tests.architecture --draw"
    assert all(f">{name}<" in fresh for name in FLOORS)
    assert set(HOLDS) == set(FLOORS)


def test_the_picture_leaves_out_only_what_follows():
    arrows = {"a": {"b", "c", "d"}, "b": {"c"}, "c": {"d"}, "d": set()}
    assert shortest(arrows) == {"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": set()}


def test_the_page_says_what_each_package_says():
    rows = [line for line in DOC.read_text(encoding="utf-8").splitlines() if line.startswith("| ") and "`" in line]
    assert rows == architecture.lines(), "python -m tests.architecture --draw prints the table"


def test_one_class_name_means_one_thing():
    places = {}
    for module, source in sources().items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(module)
    assert not {name: files for name, files in places.items() if len(files) > 1}


def test_import_is_light():
    code = (
        "import sys, fpgaml, fpgaml.cli.app, fpgaml.exact.scores, fpgaml.flow.steps, fpgaml.report.estimates\n"
        "heavy = {'tensorflow', 'keras', 'qkeras', 'hls4ml', 'matplotlib', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(f'imported: {sorted(heavy)}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_run_loads_what_its_steps_work_with_when_they_are_done():
    code = (
        "import sys, fpgaml.cli.app, fpgaml.cli.show_run, fpgaml.flow.steps\n"
        "idle = ('audit', 'backend', 'estimate', 'exact', 'frontend', 'precision', 'project', 'report', 'training')\n"
        "found = [name for name in sys.modules if name.startswith(tuple(f'fpgaml.{one}' for one in idle))]\n"
        "sys.exit(f'imported: {sorted(found)}' if found or 'jinja2' in sys.modules else 0)"
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
    assert not [path for path in modules().values() if path.name in vague]
