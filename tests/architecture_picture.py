"""The packages of fpgaml as a picture: boxes on floors, an arrow to what a package imports. Equal layouts, equal bytes.

An arrow that follows from others (a imports b, b imports c, so that a may as well import c) is not drawn: what is left
is the shortest picture that says who stands on whom. Arrows past a floor have a place of their own on it.
"""

from itertools import combinations, pairwise
from xml.sax.saxutils import escape

HOLDS = {
    "errors": "errors of one family",
    "whole": "files written whole",
    "quoting": "text of others in ours",
    "ir": "network, fixed point, ranges",
    "exact": "running it, comparing executions",
    "target": "design, toolchains, parts, reports",
    "precision": "profile, types, post-training",
    "estimate": "cost before synthesis",
    "card": "the run card",
    "datasets": "images and tables as codes",
    "frontend": "reading Keras models",
    "training": "build, fit, quantize, prune",
    "backend": "HLS C++ and its simulation",
    "runs": "run folders, opening things",
    "project": "test bench, AXI, boards",
    "audit": "models made elsewhere",
    "report": "pages and figures",
    "flow": "steps of a run, verbs",
    "cli": "the command line",
}
WIDTH, HEIGHT, PASSAGE, GAP, BETWEEN, MARGIN = 226, 46, 10, 26, 44, 24  # box, passing arrow, spaces; pixels
ROUNDS = 40  # of ordering each floor by its neighbours
Place = tuple[str, str, int]  # a box (name, "", its floor), or the passage of an arrow (from, to, the floor it passes)
Arrows = dict[str, set[str]]


def draw(floors: dict[str, int], imports: Arrows) -> str:
    """Return the picture as SVG text."""
    routes = _routes(floors, shortest(imports))
    rows = _ordered(floors, routes)
    xs = _settled(rows, routes)
    top = max(floors.values())
    y = {floor: MARGIN + (top - floor) * (HEIGHT + BETWEEN) for floor in range(top + 1)}
    right = max(xs[place] + _width(place) / 2 for row in rows for place in row) + MARGIN
    height = y[0] + HEIGHT + MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{right:.0f}" height="{height}" '
        f'viewBox="0 0 {right:.0f} {height}" font-family="sans-serif" font-size="13">',
        "<title>The packages of fpgaml</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#555"/></marker></defs>',
        f'<rect width="{right:.0f}" height="{height}" fill="white"/>',
    ]
    for floor, row in enumerate(rows):
        lines.append(f'<text x="6" y="{y[floor] + HEIGHT // 2 + 4}" fill="#999" font-size="11">{floor}</text>')
        lines += [_box(place[0], xs[place], y[floor]) for place in row if not place[1]]
    lines += [_arrow(route, xs, y) for route in routes]
    return "\n".join([*lines, "</svg>"]) + "\n"


def shortest(imports: Arrows) -> Arrows:
    """Return the arrows that do not follow from others."""
    below: Arrows = {}

    def reached(name: str) -> set[str]:
        if name not in below:
            below[name] = set().union(*({one} | reached(one) for one in imports[name]))
        return below[name]

    return {name: {o for o in own if all(o not in reached(p) for p in own if p != o)} for name, own in imports.items()}


def _routes(floors: dict[str, int], arrows: Arrows) -> list[list[Place]]:
    """Return each arrow as the places it goes through, from above to below."""
    return [
        [
            (name, "", floors[name]),
            *((name, other, floor) for floor in range(floors[name] - 1, floors[other], -1)),
            (other, "", floors[other]),
        ]
        for name in floors
        for other in sorted(arrows[name])
    ]


def _neighbours(routes: list[list[Place]]) -> dict[Place, list[Place]]:
    near: dict[Place, list[Place]] = {}
    for route in routes:
        for above, below in pairwise(route):
            near.setdefault(above, []).append(below)
            near.setdefault(below, []).append(above)
    return near


def _ordered(floors: dict[str, int], routes: list[list[Place]]) -> list[list[Place]]:
    """Return the places of each floor from left to right, with few arrows that cross."""
    rows: list[list[Place]] = [[] for _ in range(max(floors.values()) + 1)]
    for name, floor in floors.items():
        rows[floor].append((name, "", floor))
    for route in routes:
        for place in route[1:-1]:
            rows[place[2]].append(place)
    near = _neighbours(routes)
    best, fewest = [list(row) for row in rows], _crossings(rows, near)
    for turn in range(ROUNDS):
        at = {place: n / max(len(row) - 1, 1) for row in rows for n, place in enumerate(row)}
        for row in rows if turn % 2 else reversed(rows):
            middle = {place: _mean([at[other] for other in near[place]]) for place in row}
            row.sort(key=middle.__getitem__)
            at |= {place: n / max(len(row) - 1, 1) for n, place in enumerate(row)}
        if (found := _crossings(rows, near)) < fewest:
            best, fewest = [list(row) for row in rows], found
    return best


def _crossings(rows: list[list[Place]], near: dict[Place, list[Place]]) -> int:
    at = {place: n for row in rows for n, place in enumerate(row)}
    count = 0
    for row in rows:
        ends = [(at[place], at[other]) for place in row for other in near[place] if other[2] < place[2]]
        count += sum((a - c) * (b - d) < 0 for (a, b), (c, d) in combinations(ends, 2))
    return count


def _settled(rows: list[list[Place]], routes: list[list[Place]]) -> dict[Place, float]:
    """Return the middle of each place: a box near those it is tied to, no two on a floor too close."""
    near = _neighbours(routes)
    xs: dict[Place, float] = {}
    for row in rows:
        x = 0.0
        for place in row:
            xs[place] = x + _width(place) / 2
            x += _width(place) + GAP
    for _ in range(ROUNDS):
        for row in rows:
            wanted = [_mean([xs[other] for other in near[place]]) for place in row]
            for place, x in zip(row, _apart(row, wanted), strict=True):
                xs[place] = x
    left = min(x - _width(place) / 2 for place, x in xs.items())
    return {place: round(x - left + 2 * MARGIN) for place, x in xs.items()}


def _apart(row: list[Place], wanted: list[float]) -> list[float]:
    """Return places in order, no two overlapping, near where they are wanted."""
    offsets = [0.0]
    for left, right in pairwise(row):
        offsets.append(offsets[-1] + (_width(left) + _width(right)) / 2 + GAP)
    blocks: list[list[float]] = []  # of wishes without the offsets; neighbours that push each other share their mean
    for wish in (w - o for w, o in zip(wanted, offsets, strict=True)):
        blocks.append([wish])
        while len(blocks) > 1 and _mean(blocks[-2]) > _mean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    return [x + o for x, o in zip((m for b in blocks for m in [_mean(b)] * len(b)), offsets, strict=True)]


def _width(place: Place) -> int:
    return PASSAGE if place[1] else WIDTH


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _box(name: str, x: float, y: int) -> str:
    left = x - WIDTH / 2
    return (
        f'<rect x="{left:.0f}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#eef3fa" stroke="#555"/>'
        f'<text x="{x:.0f}" y="{y + 19}" text-anchor="middle" font-weight="bold">{escape(name)}</text>'
        f'<text x="{x:.0f}" y="{y + 36}" text-anchor="middle" fill="#444" font-size="11">{escape(HOLDS[name])}</text>'
    )


def _arrow(route: list[Place], xs: dict[Place, float], y: dict[int, int]) -> str:
    bend = BETWEEN // 2
    path = f"M{xs[route[0]]:.0f} {y[route[0][2]] + HEIGHT}"
    for place, following in pairwise(route):
        x, above = xs[place], y[place[2]] + HEIGHT
        end, below = xs[following], y[following[2]]
        path += f" C{x:.0f} {above + bend} {end:.0f} {below - bend} {end:.0f} {below}"
        path += f" V{below + HEIGHT}" if following[1] else ""
    return f'<path d="{path}" fill="none" stroke="#555" marker-end="url(#tip)"/>'
