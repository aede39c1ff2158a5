"""Pictures of the measurements, for docs/performance.md."""

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
    """Draw a picture of each measured part that has one into `folder`, making it if missing."""
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


def draw_ways(seen: dict[str, Any], path: Path) -> None:
    """Draw where the time of an order and of a health check goes, from the client's side, as bars.

    For one connection; the inside of an order is by the engine's and the API's own metrics.
    """

    def mean_ms(way: str, what: str) -> float:
        return float(statistics.median(1e3 / run[0] for run in seen[way][f"{what} 1"]))

    inside = seen["inside"]
    engine = sum(value for stage, value in inside.items() if stage != "api")
    order, check = (
        {way: mean_ms(way, what) for way in ("ingress", "pod", "loopback")}
        for what in ("orders", "health")
    )
    parts = {
        "engine, disk included": (engine, 0.0),
        "API": (max(0.0, inside["api"] - engine), 0.0),
        "pod's network and HTTP": (max(0.0, order["pod"] - inside["api"]), check["pod"]),
        "ingress controller": (
            max(0.0, order["ingress"] - order["pod"]),
            max(0.0, check["ingress"] - check["pod"]),
        ),
    }
    figure, axes = plt.subplots(figsize=(8.4, 2.8), layout="constrained")
    rows, left = (3, 1), [0.0, 0.0]
    colours = ("#b5651d", "#1b6ca8", "#6a994e", "#8d99ae")
    for (name, values), colour in zip(parts.items(), colours, strict=True):
        label = name + ": " + " and ".join(f"{value:.2f}" for value in values if value) + " ms"
        axes.barh(rows, values, left=left, color=colour, label=label)
        left = [before + value for before, value in zip(left, values, strict=True)]
    loopback = (order["loopback"], check["loopback"])
    label = f"no cluster: {loopback[0]:.2f} and {loopback[1]:.2f} ms"
    axes.barh((2, 0), loopback, color="#cccccc", label=label)
    axes.set(xlabel="mean time of one order or check, one connection, ms", yticks=[0, 1, 2, 3])
    axes.set_yticklabels(
        [
            "check, on loopback",
            "check, by the ingress",
            "order, on loopback",
            "order, by the ingress",
        ]
    )
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def draw_tuning_run(seen: dict[str, Any], by_hand: dict[str, list[float]], path: Path) -> None:
    """Draw how the operator tunes a venue that starts mis-tuned, and the best by hand."""
    series = seen["series"]
    at = [one["at_s"] for one in series]
    best = max(statistics.median(runs) for runs in by_hand.values())
    figure, (orders, settings, used) = plt.subplots(
        3, 1, figsize=(6.4, 5.6), sharex=True, layout="constrained"
    )
    orders.plot(at, [one["orders_per_s"] for one in series], color="#1b6ca8")
    orders.axhline(best, color="#b5651d", linestyle="--", label="best by hand")
    orders.set(ylabel="orders/s", ylim=(0, None))
    orders.legend(frameon=False, loc="lower right")
    for name, label in (
        ("pods", "pods"),
        ("workers", "workers a pod"),
        ("pool", "connections a worker"),
    ):
        settings.step(at, [one[name] for one in series], where="post", label=label)
    settings.set(ylim=(0, None))
    settings.legend(frameon=False, loc="upper left")
    used.plot(at, [one["connections"] for one in series], color="#6a994e", label="in use")
    used.plot(
        at, [one["budget"] for one in series], color="#b5651d", linestyle="--", label="budget"
    )
    used.set(ylabel="database connections", xlabel="seconds", ylim=(0, None))
    used.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
