"""Change the code in one place, run the tests of that module, see whether one fails: would a fault be found?

    python -m tests.mutate fpgaml/ir/fixed.py       (or: make mutants, for all modules of FOCUSED)

Every comparison, operator, constant, condition, mode, minimum, argument order and statement without a value is changed
in turn. A change that no test notices *survives* and is printed with its line. EQUIVALENT lists those that change no
result, with the reason; they are not run. Each mutant is a fork of one process that has numpy and pytest loaded, so it
costs the tests alone; what it may take is measured in processor time, for machines that are busy with other things.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import resource
import signal
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOCUSED = {
    "fpgaml/ir/fixed.py": ["tests/ir/test_fixed.py"],
    "fpgaml/ir/accumulate.py": ["tests/ir/test_accumulate.py"],
    "fpgaml/exact/emulate.py": ["tests/exact/test_emulate.py", "tests/exact/test_limits.py"],
    "fpgaml/backend/lowering.py": ["tests/backend/test_lowering.py"],
    "fpgaml/backend/readback.py": ["tests/backend/test_readback.py"],
}
EQUIVALENT = ROOT / "tests" / "equivalent.toml"

COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}  # fmt: skip
OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitAnd,
}  # fmt: skip
NAMES = {
    "min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all", "all": "any",
    "floor": "ceil", "ceil": "floor", "rint": "floor", "trunc": "floor", "low": "high", "high": "low",
    "TRN": "RND", "TRN_ZERO": "TRN", "RND": "RND_CONV", "RND_CONV": "RND", "RND_INF": "RND", "RND_MIN_INF": "RND_ZERO",
    "RND_ZERO": "RND_MIN_INF", "WRAP": "SAT", "SAT": "WRAP", "SAT_SYM": "SAT", "SAT_ZERO": "SAT", "LINEAR": "RELU",
    "RELU": "LINEAR", "float32": "float64", "float64": "float32", "PARALLEL": "STREAM", "STREAM": "PARALLEL",
    "LATENCY": "RESOURCE", "RESOURCE": "LATENCY",
}  # fmt: skip
COMMUTATIVE = {"min", "max", "minimum", "maximum", "clip"}


@dataclass(frozen=True)
class Mutant:
    """One change of a tree: where, what it was and what it is."""

    line: int
    scope: str
    parent: ast.AST
    field: str
    at: int | None  # in a list of nodes
    new: ast.AST
    around: ast.expr | None  # the expression it is a part of

    @property
    def old(self) -> ast.AST:
        """The node as it is."""
        value = getattr(self.parent, self.field)
        return value if self.at is None else value[self.at]

    @property
    def key(self) -> str:
        """What it is called in EQUIVALENT: without the line, which moves, but with the expression it is in."""
        old = self.old
        if self.around is None:
            return f"{self.scope}: {_short(old)} -> {_short(self.new)}"
        before = ast.unparse(self.around)
        self.put(self.new)
        after = ast.unparse(self.around)
        self.put(old)
        return f"{self.scope}: {before} -> {after}"

    def put(self, node: ast.AST) -> None:
        """Set the changed place of the tree to `node`."""
        if self.at is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.at] = node


# --- what is changed --------------------------------------------------------------------------------------------------


def replacements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield each change of one node, its children left as they are."""
    match node:
        case ast.Compare(left, ops, values):
            for at, op in enumerate(ops):
                for other in COMPARISONS[type(op)]:
                    yield ast.Compare(left, [*ops[:at], other(), *ops[at + 1 :]], values)
        case ast.BinOp(left, op, right) if type(op) in OPERATORS:
            yield ast.BinOp(left, OPERATORS[type(op)](), right)
        case ast.AugAssign(target, op, value):
            if type(op) in OPERATORS:
                yield ast.AugAssign(target, OPERATORS[type(op)](), value)
            yield ast.Pass()
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.And() if isinstance(op, ast.Or) else ast.Or(), values)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield operand
        case ast.Constant(bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(int() | float() as value):
            yield from (ast.Constant(value + 1), ast.Constant(value - 1))
        case ast.Attribute(value, attr, ctx) if attr in NAMES:
            yield ast.Attribute(value, NAMES[attr], ctx)
        case ast.Name(name, ast.Load() as ctx) if name in NAMES:
            yield ast.Name(NAMES[name], ctx)
        case ast.Call(func, [first, second, *rest], keywords) if _short(func).split(".")[-1] not in COMMUTATIVE:
            yield ast.Call(func, [second, first, *rest], keywords)
        case ast.If(_, body, orelse):
            yield from (ast.If(ast.Constant(value), body, orelse) for value in (True, False))
        case ast.IfExp(_, body, orelse):
            yield from (body, orelse)
        case ast.Match(subject, cases) if len(cases) > 1:
            yield from (ast.Match(subject, cases[:at] + cases[at + 1 :]) for at in range(len(cases)))
        case ast.Expr(ast.Call()) | ast.Raise():
            yield ast.Pass()


LEFT_ALONE = ("annotation", "returns", "decorator_list", "pattern", "exc")  # types, cases, texts of errors


def mutants(tree: ast.Module) -> list[Mutant]:
    """Return every mutant of a module, in the order of its lines."""
    found: list[Mutant] = []

    def visit(node: ast.AST, scope: str, around: ast.expr | None) -> None:
        if isinstance(node, ast.expr):
            around = node
        elif not isinstance(node, ast.keyword | ast.comprehension):
            around = None
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            scope = _scope(node) if scope == "module" else f"{scope}.{node.name}"
        for field, value in ast.iter_fields(node):
            if field in LEFT_ALONE:
                continue
            for at, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(child, ast.AST) and not isinstance(child, ast.Import | ast.ImportFrom | ast.JoinedStr):
                    line = getattr(child, "lineno", getattr(node, "lineno", 0))
                    found.extend(Mutant(line, scope, node, field, at, new, around) for new in replacements(child))
                    visit(child, scope, around)

    visit(tree, "module", None)
    return sorted(found, key=lambda one: one.line)


def _scope(node: ast.FunctionDef | ast.ClassDef) -> str:
    """Return the name of a function; one registered for a kind of layer is called by that."""
    if isinstance(node, ast.FunctionDef) and node.name == "_":
        return f"{ast.unparse(node.decorator_list[0]).split('.')[0]}({ast.unparse(node.args.args[0].annotation)})"
    return node.name


def _short(node: ast.AST) -> str:
    if isinstance(node, ast.If):
        return f"if {ast.unparse(node.test)}"
    if isinstance(node, ast.Match):
        return "match " + " ".join(ast.unparse(case.pattern) for case in node.cases)
    return ast.unparse(node)


# --- running ----------------------------------------------------------------------------------------------------------


def outcome(module: Path, tree: ast.Module, mutant: Mutant | None, tests: list[str], limit: int) -> tuple[str, float]:
    """Return what became of a mutant (survived, killed or too slow), and the processor seconds it took."""
    child = os.fork()
    if not child:
        _run(module, tree, mutant, tests, limit)
    _, status, used = os.wait4(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGALRM, signal.SIGKILL):
        return "too slow", used.ru_utime + used.ru_stime
    return "killed" if status else "survived", used.ru_utime + used.ru_stime


def _run(module: Path, tree: ast.Module, mutant: Mutant | None, tests: list[str], limit: int) -> None:
    """Run the tests on a changed module, in a child process; the exit code says whether one failed."""
    code = 70
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
        signal.alarm(60 * limit)
        if mutant:
            mutant.put(mutant.new)
        _load_from(tree, ".".join(module.with_suffix("").parts))
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # with no conftest.py either: half a second each
        code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--noconftest", "-W", "ignore", *tests]))
    finally:
        os._exit(code)


def _load_from(tree: ast.Module, name: str) -> None:
    """Let the module `name` be loaded from `tree`, in this process."""
    usual = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, fullname: str):
        if fullname != name:
            return usual(self, fullname)
        return compile(ast.fix_missing_locations(tree), self.path, "exec")

    SourceFileLoader.get_code = get_code


def study(module: Path, tests: list[str], lines: range, sample: int | None, seed: int) -> Counter[str]:
    """Run every mutant of a module and print those that survive; return how many became what."""
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    made = mutants(tree)
    known = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8")).get(str(module), {})
    equal = {key for keys in known.values() for key in keys}
    for key in sorted(equal - {one.key for one in made}):
        print(f"{EQUIVALENT.name}: {module} has no mutant {key!r}")
    made = [one for one in made if one.line in lines]
    found = Counter(equivalent=sum(one.key in equal for one in made))
    made = [one for one in made if one.key not in equal]
    if sample and sample < len(made):
        made = sorted(random.Random(seed).sample(made, sample), key=lambda one: one.line)
    done, seconds = outcome(module, tree, None, tests, 600)
    if done != "survived":
        sys.exit(f"{module}: its tests fail on the code as it is")
    print(f"{module}: {len(made)} mutants, {seconds:.1f} s of tests", flush=True)
    for one in made:
        result, _ = outcome(module, tree, one, tests, int(10 * seconds) + 10)
        found[result] += 1
        if result == "survived":
            print(f"  {module}:{one.line}  {one.key}", flush=True)
    return found


def main() -> int:
    """Study the modules named, or all; return 1 if fewer than 95 % of a module's mutants are killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="files of fpgaml/ (default: all that have a focused set)")
    parser.add_argument("--lines", help="only these lines, as FIRST-LAST")
    parser.add_argument("--sample", type=int, help="at most so many mutants a module, at random")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    low, _, high = (given.lines or f"1-{sys.maxsize - 1}").partition("-")
    lines = range(int(low), int(high or low) + 1)
    poor = False
    for name in given.modules or FOCUSED:
        start = time.monotonic()
        found = study(Path(name), FOCUSED[name], lines, given.sample, given.seed)
        ran = sum(found.values()) - found["equivalent"]
        killed = found["killed"] + found["too slow"]
        poor |= killed < 0.95 * ran
        print(
            f"{name}: {killed} of {ran} killed ({killed / max(ran, 1):.1%}), {found['too slow']} of them too slow; "
            f"{found['equivalent']} equivalent not run; {time.monotonic() - start:.0f} s",
            flush=True,
        )
    return poor


if __name__ == "__main__":
    import hypothesis
    import numpy  # noqa: F401 loaded once, before the forks
    import pytest
    import threadpoolctl  # noqa: F401

    os.chdir(ROOT)
    hypothesis.settings.register_profile(
        "mutants",
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutants")
    sys.exit(main())
