"""Outputs of a symbolic run as functions of one number, and what such a function gives for every code.

Reader(run).unary(form)      the variables whose sum the number is, and a key: equal functions have equal keys
evaluate(key, t)             the function's codes at the numbers t
"""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import Any, NamedTuple

import numpy as np

from fpgaml.exact.forms import GE, GT, LE, LT, Op, Operation, SymbolicRun, Unproved
from fpgaml.ir.fixed import MAX_WIDTH, Codes, FixedPoint, Overflow

SATURATING = (Overflow.SAT, Overflow.SAT_SYM)  # casts that never fall
MOST_STEPS = 1 << 24
AT_ONCE = 1 << 20  # steps that are looked for side by side


class Unary(NamedTuple):
    """An output as a function of one number t, the sum of some variables: the variables, and what is done with t."""

    columns: tuple[int, ...]
    key: object


class Reader:
    """Reads outputs as functions of one number; equal functions get equal keys."""

    def __init__(self, run: SymbolicRun) -> None:
        self.run = run
        self.outcomes: dict[tuple[int, ...], tuple[object, ...]] = {}  # of constants only: tables, read once

    def unary(self, form: int) -> Unary:
        """Return an output as a function of one number. Raises: Unproved if it is none."""
        found: list[tuple[int, ...]] = []
        key = self._key(form, found)
        if len(set(found)) > 1:
            raise Unproved("it depends on more than one number")
        return Unary(found[0] if found else (), key)

    def _key(self, form: int, found: list[tuple[int, ...]]) -> object:
        run = self.run
        columns, coefficients = run.forms.terms(form)
        own = [(c, k) for c, k in zip(columns, coefficients, strict=True) if c not in run.operations]
        others = [(k, self._operation(run.operations[c], found))
                  for c, k in zip(columns, coefficients, strict=True) if c in run.operations]  # fmt: skip
        scale = 0
        if own:
            scale = gcd(*(k for _, k in own)) * (1 if own[0][1] > 0 else -1)
            if any(k != scale for _, k in own):
                raise Unproved("it weighs its variables differently")
            found.append(tuple(c for c, _ in own))
        return (int(run.forms.fractions[form]), int(run.forms.offsets[form]), scale, *others)

    def _operation(self, operation: Operation, found: list[tuple[int, ...]]) -> object:
        operands = tuple(self._key(form, found) for form in operation.operands)
        outcomes = self.outcomes.get(operation.outcomes)
        if outcomes is None:
            before = len(found)
            outcomes = tuple(self._key(form, found) for form in operation.outcomes)
            if len(found) == before:
                self.outcomes[operation.outcomes] = outcomes
        kind = operation.kind if operation.op is Op.CAST else None
        return (operation.op, operation.parameters, kind, operation.fraction, operands, outcomes)


def evaluate(key: object, t: Codes) -> tuple[Codes, int]:
    """Return the codes and fraction bits that a key's function has at the numbers `t`.

    Raises: Unproved where 62 bits do not hold them.
    """
    assert isinstance(key, tuple)
    fraction, offset, scale, *others = key
    total = offset + _times(t, scale)
    for factor, operation in others:
        total = total + _times(_apply(operation, t), factor)
    return total, fraction


def _moved_to(codes: Codes, fraction: int, wanted: int) -> Codes:
    """Return codes with another number of fraction bits, exactly. Raises: Unproved."""
    if wanted >= fraction:
        return _times(codes, 1 << (wanted - fraction))
    if (codes & ((np.int64(1) << min(fraction - wanted, 62)) - 1)).any():
        raise Unproved("a value is off its grid")
    return codes >> min(fraction - wanted, 62)


def _times(codes: Codes, factor: int) -> Codes:
    size = int(np.abs(codes).max(initial=0))
    if size * abs(factor) >= 1 << 62:
        raise Unproved("a value needs more than 62 bits")
    return codes * np.int64(factor)


def _apply(operation: tuple[Any, ...], t: Codes) -> Codes:
    """Return the codes of one operation at the numbers `t`, on its own grid."""
    op, parameters, kind, fraction, operands, outcomes = operation
    values = [evaluate(one, t) for one in operands]
    match op:
        case Op.CAST:
            return np.asarray(kind.cast(*values[0]))
        case Op.DIV:
            (a, a_fraction), (b, b_fraction) = values
            up = fraction - a_fraction + b_fraction
            top, bottom = (_times(a, 1 << up), b) if up >= 0 else (a, _times(b, 1 << -up))
            return np.asarray(np.sign(top) * np.sign(bottom) * (np.abs(top) // np.abs(bottom)))
        case Op.COMPARE:
            a, b = _aligned(*values)
            return np.asarray((a > b, a >= b, a < b, a <= b, a == b, a != b)[parameters[0]]).astype(np.int64)
        case Op.SWITCH:
            which = _moved_to(*values[0], parameters[2]) - parameters[0]
            if which.min(initial=0) < 0 or which.max(initial=0) >= parameters[1]:
                raise Unproved("a choice has no outcome for one of its codes")
            result = np.zeros(len(t), np.int64)
            for n in np.unique(which):
                result[which == n] = _moved_to(*evaluate(outcomes[n], t[which == n]), fraction)
            return result
        case _:
            raise Unproved(f"a {op.name.lower()} of two variables")


def _aligned(a: tuple[Codes, int], b: tuple[Codes, int]) -> tuple[Codes, Codes]:
    fraction = max(a[1], b[1])
    return _times(a[0], 1 << (fraction - a[1])), _times(b[0], 1 << (fraction - b[1]))


def rises(key: object, low: int, high: int) -> bool:
    """Return whether a key's function never falls from `low` to `high`; False if that cannot be seen from its parts."""
    assert isinstance(key, tuple)
    _, _, scale, *others = key
    return scale >= 0 and all(factor >= 0 and _operation_rises(own, low, high) for factor, own in others)


def _operation_rises(operation: tuple[Any, ...], low: int, high: int) -> bool:
    op, parameters, kind, _, operands, _ = operation
    if op is Op.CAST:
        return rises(operands[0], low, high) and (kind.overflow in SATURATING or fits(operands[0], kind, low, high))
    if op is Op.DIV:
        divisor = operands[1]
        return rises(operands[0], low, high) and divisor[2:] == (0,) and divisor[1] > 0
    if op is Op.COMPARE:
        (a, b), relation = operands, parameters[0]
        if relation in (LT, LE):
            a, b = b, a
        falls = b[2] == 0 and len(b) == 3  # a constant
        return relation in (GT, GE, LT, LE) and falls and rises(a, low, high)
    if op is Op.SWITCH and rises(operands[0], low, high):
        return _choice_rises(operation, low, high)
    return False


def _choice_rises(operation: tuple[Any, ...], low: int, high: int) -> bool:
    """Return whether a choice never falls, if its selector does not: each outcome rises, and ends below the next."""
    _, parameters, _, fraction, operands, outcomes = operation
    starts = steps(operands[0], low, high)
    last = None
    for start, end in zip(starts, [*(starts[1:] - 1), high], strict=True):
        ends = np.array([start, end])
        which = int((_moved_to(*evaluate(operands[0], ends[:1]), parameters[2]) - parameters[0])[0])
        codes = _moved_to(*evaluate(outcomes[which], ends), fraction)
        if (last is not None and codes[0] < last) or not rises(outcomes[which], int(start), int(end)):
            return False
        last = codes[1]
    return True


def fits(key: object, kind: FixedPoint, low: int, high: int) -> bool:
    """Return whether a rising function stays in a type after rounding."""
    codes, fraction = evaluate(key, np.array([low, high]))
    wide = FixedPoint(MAX_WIDTH, MAX_WIDTH - kind.fraction, True, kind.rounding, Overflow.SAT)
    return kind.holds(wide.cast(codes, fraction))


def steps(key: object, low: int, high: int) -> Codes:
    """Return where a rising function takes each of its values first, from `low` on.

    Raises: Unproved if it takes too many.
    """
    return steps_of(lambda t: evaluate(key, t)[0], low, high)


def steps_of(function: Callable[[Codes], Codes], low: int, high: int) -> Codes:
    """Return the numbers, from `low` on, at which a rising function of integers is above all before."""
    first, last = (int(code) for code in function(np.array([low, high])))
    if last - first >= MOST_STEPS:
        raise Unproved(f"it takes up to {last - first + 1:,} values, too many to look at each")
    found = [np.array([low])]
    for start in range(first + 1, last + 1, AT_ONCE):
        levels = np.arange(start, min(start + AT_ONCE, last + 1))
        below, above = np.full(len(levels), low), np.full(len(levels), high)  # below: not yet; above: reached
        while (above - below > 1).any():
            middle = below + (above - below) // 2
            reached = function(middle) >= levels
            below, above = np.where(reached, below, middle), np.where(reached, middle, above)
        found.append(np.unique(above))
    return np.unique(np.concatenate(found))


def pieces(key: object, low: int, high: int) -> list[tuple[int, int]]:
    """Return intervals, from `low` to `high`, on each of which a key's function is affine.

    Raises: Unproved if it rounds, saturates or wraps somewhere, or takes decisions that do not rise.
    """
    assert isinstance(key, tuple)
    found = [(low, high)]
    for _, operation in key[3:]:
        own = _operation_pieces(operation, low, high)
        found = [(max(a, c), min(b, d)) for a, b in found for c, d in own if max(a, c) <= min(b, d)]
    return found


def _operation_pieces(operation: tuple[Any, ...], low: int, high: int) -> list[tuple[int, int]]:
    op, parameters, kind, fraction, operands, outcomes = operation
    if op is Op.CAST and operands[0][0] <= fraction and len(operands[0]) == 3 and fits(operands[0], kind, low, high):
        return [(low, high)]  # an affine function of which it loses nothing here
    if op is not Op.SWITCH or not rises(operands[0], low, high):
        raise Unproved("it is not made of affine pieces")
    starts = steps(operands[0], low, high)
    found: list[tuple[int, int]] = []
    for start, end in zip(starts.tolist(), [*(starts[1:] - 1).tolist(), high], strict=True):
        which = _moved_to(*evaluate(operands[0], np.array([start])), parameters[2]) - parameters[0]
        found += pieces(outcomes[int(which[0])], start, end)
    return found


def is_choice(key: object) -> bool:
    """Return whether a key is a choice of constants by the codes of something: a table."""
    assert isinstance(key, tuple)
    if len(key) != 4 or key[1:3] != (0, 0) or key[3][0] != 1 or key[3][1][0] is not Op.SWITCH:
        return False
    return all(outcome[2:] == (0,) for outcome in key[3][1][5])


def choice_of(key: object) -> tuple[object, Callable[[Codes], tuple[Codes, int]]]:
    """Return what selects an entry of a table, and its entries for codes of that."""
    assert isinstance(key, tuple)
    _, parameters, _, fraction, operands, outcomes = key[3][1]

    def entries(codes: Codes) -> tuple[Codes, int]:
        found = [evaluate(outcomes[int(code) - parameters[0]], np.zeros(1, np.int64)) for code in codes]
        return np.concatenate([_moved_to(*one, fraction) for one in found]), fraction

    return operands[0], entries
