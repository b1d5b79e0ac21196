"""The examples in docstrings do what they say."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import fpgaml
from fpgaml.target.boards import find_part
from fpgaml.target.design import Backend
from tests.networks import mlp

PACKAGE = Path(fpgaml.__file__).parent
GIVEN = {"network": mlp(), "Backend": Backend, "find_part": find_part}  # what examples stand on
WITH_EXAMPLES = [path for path in sorted(PACKAGE.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_examples_of_a_module(path):
    module = import_module(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
    found = doctest.testmod(module, extraglobs=GIVEN, optionflags=doctest.ELLIPSIS)  # prints what differs
    assert found.attempted
    assert not found.failed
