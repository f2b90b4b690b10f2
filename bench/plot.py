# SPDX-License-Identifier: Apache-2.0
"""usage: plot.py BENCH.JSON PICTURE.SVG

Draws what bench/run measured: a panel for each group, a bar for each median, a thin line up to
the 99th percentile.
"""
import json
import sys

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402

OURS, OTHERS = "#1f6fb4", "#b0b0b0"
COLUMNS = 2


def groups_of(lines):
    groups = {}
    for line in lines:
        if "median" in line:
            groups.setdefault((line["group"], line["unit"]), []).append(line)
    return {f"{name} ({unit})": found for (name, unit), found in groups.items() if len(found) > 1}


def text_of(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def draw(axes, name, lines):
    lines = lines[::-1]
    places = range(len(lines))
    medians = [line["median"] for line in lines]
    colours = [OURS if "semundo" in line["what"] else OTHERS for line in lines]
    axes.barh(places, medians, color=colours, height=0.7)
    for place, line in zip(places, lines):
        end = max(line["median"], line.get("p99", 0))
        axes.plot([line["median"], end], [place, place], color="black", linewidth=0.8)
        axes.text(end, place, "  " + text_of(line["median"]), va="center", fontsize=8)
    axes.set_yticks(list(places), [line["what"] for line in lines], fontsize=8)
    if max(medians) > 20 * min(medians):
        axes.set_xscale("log")
        axes.set_xlim(left=min(medians) / 2)
    axes.set_xlim(right=axes.get_xlim()[1] * (3 if axes.get_xscale() == "log" else 1.15))
    axes.tick_params(axis="x", labelsize=7)
    axes.set_title(name, fontsize=9, loc="left")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        groups = groups_of(json.load(file))
    if not groups:
        sys.exit(f"plot.py: {sys.argv[1]} has no measurements; run `make bench` first")
    rows = -(-len(groups) // COLUMNS)
    matplotlib.rcParams["svg.hashsalt"] = "semundo"
    figure, grid = pyplot.subplots(rows, COLUMNS, figsize=(14, 1.9 * rows), squeeze=False)
    panels = list(grid.flat)
    for axes, (name, lines) in zip(panels, groups.items()):
        draw(axes, name, lines)
    for axes in panels[len(groups):]:
        axes.set_visible(False)
    figure.tight_layout()
    figure.savefig(sys.argv[2], metadata={"Date": None})


main()
