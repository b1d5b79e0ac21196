"""Maxima and first maxima in a symbolic run: what the comparisons that were made imply."""

from __future__ import annotations

import numpy as np

from fpgaml.exact.forms import EQ, GE, GT, LE, LT, NE, Op, SymbolicRun, Unproved, scaled
from fpgaml.ir.fixed import Codes

MOST_PATHS = 1 << 14
Bounds = list[tuple[int, int, int]]  # (a, b, w): value a is at least value b plus w


def maximum(run: SymbolicRun, form: int, fraction: int) -> tuple[set[int], int | None]:
    """Return the variables whose maximum a form is, and the largest constant among them, as a code.

    fraction: of the variables, and of that code. Raises: Unproved if it is no maximum.
    """
    todo, found, floor = [form], set[int](), None
    while todo:
        form = todo.pop()
        columns, coefficients = run.forms.terms(form)
        up = fraction - int(run.forms.fractions[form])
        if not columns:
            code = int(scaled(run.forms.offsets[form : form + 1], np.array([up]))[0])
            floor = code if floor is None else max(floor, code)
        elif len(columns) > 1 or coefficients != [1] or run.forms.offsets[form]:
            raise Unproved("it is no maximum")
        elif columns[0] not in run.operations:
            if up:
                raise Unproved("it is no maximum")
            found.add(columns[0])
        else:
            todo += _larger_of(run, columns[0])
    return found, floor


def _larger_of(run: SymbolicRun, number: int) -> tuple[int, int]:
    """Return the two forms whose larger one a choice is. Raises: Unproved if it is another choice."""
    choice = run.operations[number]
    if choice.op is Op.SWITCH:
        asked = run.forms.terms(choice.operands[0])[0]
        decision = run.operations.get(asked[0]) if len(asked) == 1 else None
        if decision is not None and decision.op is Op.COMPARE:
            no, yes = choice.outcomes
            a, b = decision.operands
            if decision.parameters[0] in (LT, LE):
                a, b = b, a
            if decision.parameters[0] <= LE and _equal(run, yes, a) and _equal(run, no, b):
                return a, b
        raise Unproved("it chooses another value than the larger one", None, choice.place)
    raise Unproved(run.operations[number].loss, None, choice.place)


def _equal(run: SymbolicRun, one: int, other: int) -> bool:
    """Return whether two forms are the same."""
    forms = run.forms
    same = forms.offsets[one] == forms.offsets[other] and forms.fractions[one] == forms.fractions[other]
    return bool(same) and forms.terms(one) == forms.terms(other)


def first_maximum(run: SymbolicRun, classes: dict[int, int], forms: list[int], known: Bounds | None = None) -> int:
    """Follow every outcome of the comparisons that outputs wait for, and return how many there are.

    classes: which input each variable is; forms: the outputs; known: what the comparisons so far imply.
    Raises: Unproved unless each end has a 1 where the first of the largest values is, and 0 elsewhere.
    """
    known = known or []
    for form in forms:
        columns, _ = run.forms.terms(form)
        choice = run.operations.get(columns[0]) if columns else None
        if choice is None:
            continue
        asked = run.forms.terms(choice.operands[0])[0] if choice.op is Op.SWITCH else []
        decision = run.operations.get(asked[0]) if asked else None
        if decision is None or decision.op is not Op.COMPARE:
            raise Unproved("it is no choice by comparisons", None, choice.place)
        a, b = (_class_of(run, classes, operand) for operand in decision.operands)
        total = 0
        for outcome in (0, 1):
            bounds = known + _bounds(decision.parameters[0], outcome, a, b)
            if _longest(bounds, len(classes)) is not None:
                after = [_resolved(run, form, asked[0], outcome) for form in forms]
                total += first_maximum(run, classes, after, bounds)
            if total > MOST_PATHS:
                raise Unproved("its comparisons have too many outcomes")
        return total
    _check_one_hot(run, forms, known, len(classes))
    return 1


def _class_of(run: SymbolicRun, classes: dict[int, int], form: int) -> int:
    """Return which class's value a form is. Raises: Unproved if it is none."""
    columns, coefficients = run.forms.terms(form)
    if coefficients != [1] or run.forms.offsets[form] or columns[0] not in classes:
        raise Unproved("it compares something else than its inputs")
    return classes[columns[0]]


def _resolved(run: SymbolicRun, form: int, decision: int, outcome: int) -> int:
    """Return what a form is once a decision is taken."""
    columns, _ = run.forms.terms(form)
    choice = run.operations.get(columns[0]) if columns else None
    if choice is None or choice.op is not Op.SWITCH or run.forms.terms(choice.operands[0])[0] != [decision]:
        return form
    return choice.outcomes[outcome]


def _bounds(relation: int, outcome: int, a: int, b: int) -> Bounds:
    """Return what an outcome of a comparison of two codes says of them."""
    if not outcome:
        relation = (LE, LT, GE, GT, NE, EQ)[relation]
    match relation:
        case 0 | 1:
            return [(a, b, 1 - relation)]
        case 2 | 3:
            return [(b, a, 3 - relation)]
        case _:
            raise Unproved("it compares for equality")


def _longest(bounds: Bounds, count: int) -> Codes | None:
    """Return by how much each value is at least above each other one (far below zero: unknown); None if none can be."""
    far = -(1 << 20)
    above = np.where(np.eye(count, dtype=bool), 0, far)
    for a, b, w in bounds:
        above[a, b] = max(above[a, b], w)
    for middle in range(count):
        above = np.maximum(above, above[:, middle, None] + above[None, middle, :])
    return None if (np.diagonal(above) > 0).any() else above


def _check_one_hot(run: SymbolicRun, forms: list[int], known: Bounds, count: int) -> None:
    """Hold the outputs at one end against the first maximum. Raises: Unproved."""
    values = [int(run.forms.offsets[f]) * 2.0 ** -int(run.forms.fractions[f]) for f in forms]
    above = _longest(known, count)
    assert above is not None
    if sorted(values) != [0.0] * (count - 1) + [1.0]:
        raise Unproved("its outputs are not one 1 among zeros")
    chosen = values.index(1.0)
    if any(above[chosen, other] < (1 if other < chosen else 0) for other in range(count) if other != chosen):
        raise Unproved("it chooses another class than that of the first maximum", chosen)
