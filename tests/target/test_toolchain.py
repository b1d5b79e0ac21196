"""The record of each backend's tools is complete, and nothing outside it asks which backend it is."""

import ast
from pathlib import Path

import pytest

import fpgaml
from fpgaml.target.toolchain import BY_TOOL, TOOLCHAINS, Backend, Tool, tool_of

CASES = {  # defaults and examples, and the words of a data set: none of them decides by backend
    "audit/audit.py", "card/sections.py", "estimate/adapter.py", "estimate/laboratory/groundtruth.py",
    "target/toolchain.py",
}  # fmt: skip


@pytest.mark.parametrize("backend", Backend)
def test_every_backend_has_a_record(backend):
    record = backend.toolchain
    assert record is TOOLCHAINS[backend] is BY_TOOL[backend.tool]
    assert record.programs
    assert 0 < record.clock_uncertainty < 1
    assert set(record.axi) == set(TOOLCHAINS[Backend.VITIS].axi)
    assert all(program.first <= program.last for program in record.programs)


@pytest.mark.parametrize("path", sorted(Path(fpgaml.__file__).parent.rglob("*.py")), ids=lambda path: path.name)
def test_no_other_file_names_a_backend(path):
    names = {"VITIS", "VIVADO", "VITIS_HLS", "VIVADO_HLS"}
    found = [
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if node.value.id in ("Backend", "Tool") and node.attr in names
    ]
    if str(path.relative_to(Path(fpgaml.__file__).parent).as_posix()) not in CASES:
        assert not found


def test_a_report_is_of_the_program_of_its_version():
    assert tool_of((2020, 1)) is Tool.VIVADO_HLS
    assert tool_of((2020, 2)) is Tool.VITIS_HLS
