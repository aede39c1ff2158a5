"""Pictures of what was measured, for docs/performance.md."""

import statistics
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

# Text stays text, and the same figures give the same file.
mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "openvenue", "font.size": 10})
_COLOURS = {"fast": "#1b6ca8", "naive": "#b5651d"}


def draw(results: dict[str, Any], folder: Path) -> None:
    """Draw a picture of each measured part that has one into `folder`, made where missing."""
    folder.mkdir(parents=True, exist_ok=True)
    if "growth" in results:
        _draw_growth(results["growth"], folder / "book-growth.svg")


def _draw_growth(seen: dict[str, dict[str, list[float]]], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for book, times in seen.items():
        orders = [int(count) for count in times]
        medians = [statistics.median(runs) for runs in times.values()]
        axes.plot(orders, medians, marker="o", color=_COLOURS[book], label=f"{book} book")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="orders resting in the book",
        ylabel="time of a message, ns",
    )
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
