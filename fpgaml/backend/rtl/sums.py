"""Sums of constants times values, as adders: what a layer without reuse is made of.

    text, latency = write_sums("conv1__sums", matrix, bias, up, x, total, levels=3)

Each weight is written in signed digits (canonical: no two neighbours), so a product is a few shifts. Two digits that
stand together in several sums are added once (the most frequent pair first: Hartley's way). What is left of each sum
is added as a tree, the shallowest first, with registers after every so many adders in a row.

Source: R. I. Hartley, "Subexpression sharing in filters using canonic signed digit multipliers", 1996.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations

from fpgaml.ir.accumulate import Interval
from fpgaml.ir.fixed import Codes, FixedPoint

SHARED_DIGITS = 20_000  # beyond so many digits, pairs are not searched for: it would take minutes

Digit = tuple[int, int, int]  # node, shift, sign
Pair = tuple[int, int, int, int, int]  # node and shift of either (the lower shift is 0), relative sign


def signed_digits(number: int) -> list[tuple[int, int]]:
    """Return (shift, sign) of each canonical signed digit of a number that is not 0.

    >>> signed_digits(7)
    [(0, -1), (3, 1)]
    """
    found, shift = [], 0
    while number:
        if number & 1:
            sign = 2 - (number & 3)
            found.append((shift, sign))
            number -= sign
        number >>= 1
        shift += 1
    return found


@dataclass
class AdderNode:
    """A value: an input, or a sum or difference of two shifted values; `depth` adders behind the inputs."""

    low: int
    high: int
    depth: int
    terms: tuple[Digit, Digit] | None = None

    @property
    def width(self) -> int:
        """Bits as a signed number."""
        return Interval(self.low, self.high, 0).bits


@dataclass
class Adders:
    """Nodes that are there, and for each sum the digits that make it."""

    nodes: list[AdderNode]
    sums: list[set[Digit]]
    counts: Counter[Pair] = field(default_factory=Counter)

    def add(self, first: Digit, second: Digit) -> Digit:
        """Return the digit that is the sum of two, as a new node if need be."""
        (a, ka, sa), (b, kb, sb) = first, second
        low = min(ka, kb)
        terms = ((a, ka - low, 1), (b, kb - low, sa * sb))
        x, y = self.nodes[a], self.nodes[b]
        ends = [(y.low << terms[1][1]) * terms[1][2], (y.high << terms[1][1]) * terms[1][2]]
        lows, highs = (x.low << terms[0][1]) + min(ends), (x.high << terms[0][1]) + max(ends)
        self.nodes.append(AdderNode(lows, highs, max(x.depth, y.depth) + 1, terms))
        return len(self.nodes) - 1, low, sa

    def share(self) -> None:
        """Add pairs of digits that several sums have only once, the most frequent first."""
        for digits in self.sums:
            self.counts.update(pair_of(a, b)[0] for a, b in combinations(sorted(digits), 2))
        queue = [(-count, pair) for pair, count in self.counts.items() if count > 1]
        heapq.heapify(queue)
        while queue:
            count, pair = heapq.heappop(queue)
            now = self.counts[pair]
            if now < 2:
                continue
            if -count != now:
                heapq.heappush(queue, (-now, pair))
                continue
            self._replace(pair, queue)

    def _replace(self, pair: Pair, queue: list[tuple[int, Pair]]) -> None:
        """Put one new node in the place of each pair of this kind, unless there is only one."""
        found = [(digits, self._places(digits, pair)) for digits in self.sums]
        if sum(len(places) for _, places in found) < 2:
            self.counts[pair] = 0
            return
        node, _, _ = self.add((pair[0], pair[1], 1), (pair[2], pair[3], pair[4]))
        for digits, places in found:
            for first, second in places:
                for gone in (first, second):
                    digits.remove(gone)
                    self.counts.subtract(pair_of(*sorted((gone, other)))[0] for other in digits)
                new = (node, min(first[1], second[1]), first[2])
                for other in digits:
                    key = pair_of(*sorted((new, other)))[0]
                    self.counts[key] += 1
                    if self.counts[key] > 1:
                        heapq.heappush(queue, (-self.counts[key], key))
                digits.add(new)

    def _places(self, digits: set[Digit], pair: Pair) -> list[tuple[Digit, Digit]]:
        """Return where a pair stands among the digits of one sum, each digit once."""
        a, ka, b, kb, relative = pair
        found, used = [], set[Digit]()
        for node, shift, sign in sorted(digits):
            first, second = (node, shift, sign), (b, shift - ka + kb, sign * relative)
            if node == a and second in digits and second != first and not {first, second} & used:
                found.append((first, second))
                used |= {first, second}
        return found

    def total(self, digits: set[Digit], bias: int) -> Digit | None:
        """Add what is left of one sum as a tree, the shallowest first; None if there is nothing."""
        left = list(digits)
        if bias:
            self.nodes.append(AdderNode(bias, bias, 0))
            left.append((len(self.nodes) - 1, 0, 1))
        heap = [(self.nodes[d[0]].depth, d[0], d) for d in left]
        heapq.heapify(heap)
        while len(heap) > 1:
            (_, _, first), (_, _, second) = heapq.heappop(heap), heapq.heappop(heap)
            new = self.add(first, second)
            heapq.heappush(heap, (self.nodes[new[0]].depth, new[0], new))
        return heap[0][2] if heap else None


def pair_of(first: Digit, second: Digit) -> tuple[Pair, int]:
    """Return the kind of a pair of digits, whatever their common shift and sign, and that shift."""
    (a, ka, sa), (b, kb, sb) = first, second
    low = min(ka, kb)
    return (a, ka - low, b, kb - low, sa * sb), low


def write_sums(
    module: str, matrix: Codes, bias: Codes, up: int, x: FixedPoint, total: FixedPoint, levels: int
) -> tuple[str, int]:
    """Return the Verilog of a stream stage that multiplies a beat of values by `matrix`, and its latency.

    matrix: (inputs, outputs), in products `up` bits coarser than the sums; bias: (outputs,), in units of the sums.
    """
    inputs = [AdderNode(x.low, x.high, 0) for _ in range(len(matrix))]
    sums = [
        {(n, shift + up, sign) for n, weight in enumerate(column) if weight for shift, sign in signed_digits(weight)}
        for column in matrix.T.tolist()
    ]
    adders = Adders(inputs, sums)
    if sum(map(len, sums)) <= SHARED_DIGITS:
        adders.share()
    totals = [adders.total(digits, int(offset)) for digits, offset in zip(adders.sums, bias, strict=True)]
    return Writer(module, adders, len(matrix), x, total, totals, levels).text()


@dataclass
class Writer:
    """Adders as Verilog, with a register after every `levels` of them in a row."""

    module: str
    adders: Adders
    inputs: int
    x: FixedPoint
    out: FixedPoint
    totals: list[Digit | None]
    levels: int
    delayed: dict[tuple[int, int], str] = field(default_factory=dict)
    wires: list[str] = field(default_factory=list)
    registers: list[str] = field(default_factory=list)

    def text(self) -> tuple[str, int]:
        """Return the module and its latency."""
        needed = self._needed()
        latency = max([1] + [self._stage(self.adders.nodes[t[0]]) + 1 for t in self.totals if t])
        for number in sorted(needed):
            self._node(number)
        width = self.out.width
        last = [self._total(digit, latency) for digit in self.totals]
        outs = [f"    out_data[{m * width}+:{width}] <= {text};" for m, text in enumerate(last)]
        body = [
            f"// Made for this network: {len(self.totals)} sums of constants times {self.inputs} values, "
            f"{len(needed) - self._leaves(needed)} adders, {latency} registers deep.",
            f"module {self.module} (",
            "    input  logic clk,",
            "    input  logic rst,",
            "    input  logic in_valid,",
            "    output logic in_ready,",
            f"    input  logic [{self.inputs * self.x.width - 1}:0] in_data,",
            "    output logic out_valid,",
            "    input  logic out_ready,",
            f"    output logic [{len(self.totals) * width - 1}:0] out_data",
            ");",
            f"  logic [{latency - 1}:0] valid;",
            f"  assign out_valid = valid[{latency - 1}];",
            "  assign in_ready = !out_valid || out_ready;",
            *self.wires,
            "  always_ff @(posedge clk) if (in_ready) begin",
            *self.registers,
            *outs,
            "  end",
            "  always_ff @(posedge clk)",
            "    if (rst) valid <= '0;",
            "    else if (in_ready) valid <= "
            + ("in_valid;" if latency == 1 else f"{{valid[{latency - 2}:0], in_valid}};"),
            "endmodule",
            "",
        ]
        return "\n".join(body), latency

    def _needed(self) -> set[int]:
        """Return the nodes that some sum is made of."""
        found, todo = set(), [t[0] for t in self.totals if t]
        while todo:
            number = todo.pop()
            if number not in found:
                found.add(number)
                todo += [term[0] for term in self.adders.nodes[number].terms or ()]
        return found

    def _leaves(self, needed: set[int]) -> int:
        return sum(self.adders.nodes[n].terms is None for n in needed)

    def _stage(self, node: AdderNode) -> int:
        """Return behind how many registers a node is computed."""
        return max(node.depth - 1, 0) // self.levels

    def _node(self, number: int) -> None:
        node = self.adders.nodes[number]
        declared = f"  wire signed [{node.width - 1}:0] n{number}"
        if node.terms is None and number < self.inputs:
            code = f"in_data[{number * self.x.width}+:{self.x.width}]"
            self.wires.append(f"{declared} = {_extended(code, self.x, node.width)};")
        elif node.terms is None:
            self.wires.append(f"{declared} = {_constant(node.low, node.width)};")
        else:
            first, second = (self._term(digit, self._stage(node), node.width) for digit in node.terms)
            sign = "+" if node.terms[1][2] > 0 else "-"
            self.wires.append(f"{declared} = {first} {sign} {second};")

    def _term(self, digit: Digit, stage: int, width: int) -> str:
        text = f"{width}'({self._at(digit[0], stage)})"
        return f"({text} <<< {digit[1]})" if digit[1] else text

    def _at(self, number: int, stage: int) -> str:
        """Return the name of a node as it is behind `stage` registers."""
        node = self.adders.nodes[number]
        constant = node.terms is None and number >= self.inputs
        name = f"n{number}"
        for at in range(self._stage(node), 0 if constant else stage):
            key = (number, at)
            if key not in self.delayed:
                self.delayed[key] = f"n{number}_{at + 1}"
                self.wires.append(f"  logic signed [{node.width - 1}:0] {self.delayed[key]};")
                self.registers.append(f"    {self.delayed[key]} <= {name};")
            name = self.delayed[key]
        return name

    def _total(self, digit: Digit | None, latency: int) -> str:
        """Return one sum as it goes into the last register."""
        width = self.out.width
        if digit is None:
            return f"{width}'d0"
        wide = max(width, self.adders.nodes[digit[0]].width) + 1
        text = f"({wide}'({self._at(digit[0], latency - 1)}) <<< {digit[1]})"
        return f"{width}'({text if digit[2] > 0 else f'-{text}'})"


def _extended(code: str, kind: FixedPoint, width: int) -> str:
    return f"{width}'($signed({code}))" if kind.signed else f"$signed({width}'({code}))"


def _constant(value: int, width: int) -> str:
    return f"{width}'sh{value & ((1 << width) - 1):x}"
