"""The colours that all figures share."""

BLUE, ORANGE, GREEN, PLUM, GREY = "#2a6f97", "#e07a1f", "#2b7a3d", "#8c2f5a", "#8a8f98"
VIOLET, RED = "#5b4b9a", "#b3261e"
LINES = (BLUE, ORANGE, GREEN, PLUM, GREY, VIOLET)  # one after the other, of things side by side
GRID = "#e3e3e3"
ON_PALE = "#111111"  # of text on pale cells, which stay pale on a dark page
