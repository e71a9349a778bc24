"""The plots, from the results alone (and the strips of pictures that the rows left in samples/)."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from bench.table import NAMES, floors, rows
from diffusion_lesson.page.plots import ROLES
from figures.style import save

LOOKS: dict[str, dict[str, Any]] = {
    "ours-labels": {"color": ROLES["model"]["color"], "marker": "o", "linestyle": "-"},
    "ours": {"color": ROLES["model"]["color"], "marker": "s", "linestyle": "--"},
    "course-labels": {"color": "#CC79A7", "marker": "o", "linestyle": "-"},
    "course": {"color": "#CC79A7", "marker": "s", "linestyle": "--"},
    "ddpm-pytorch": {"color": "#56B4E9", "marker": "D", "linestyle": ":"},
}


def draw(results: dict[str, Any], folder: Path) -> None:
    """Every plot that the results allow."""
    if any(rows(results, name) for name in LOOKS):
        curves(results, folder)
    if "scaling" in results:
        growth(results, folder)
    if any((folder / "samples").glob("*.png")):
        strips(folder)


def curves(results: dict[str, Any], folder: Path) -> None:
    """Distance against CPU-seconds of training."""
    figure, axes = plt.subplots(figsize=(8.4, 3.8))
    last: dict[str, float] = {}
    for name, look in LOOKS.items():
        for seed, row in enumerate(rows(results, name)):
            points = list(results.get(f"curve/{name}/0", [])) if seed == 0 else []
            end = next(iter(row["distance"].values()))  # at n = 200, but for a smoke run
            points.append({"seconds": row["seconds"], "distance": end})
            xs, ys = [p["seconds"] for p in points], [p["distance"] for p in points]
            axes.plot(xs, ys, label=NAMES[name].replace("`", "") if seed == 0 else None, **look)
            last.setdefault(name, end)
    for (_, words, found), dashes in zip(floors(results), ("-", ":"), strict=False):
        name = words.replace("floor: real training pictures", "real")
        axes.axhline(found["200"]["mean"], label=name, linewidth=1.4, **ROLES["data"] | {"linestyle": dashes})
    axes.set(xscale="log", yscale="log", xlabel="CPU-seconds of training, one thread", xlim=(10, 400))
    axes.set_xticks([10, 30, 100, 300], ["10", "30", "100", "300"])
    axes.minorticks_off()
    axes.set_ylabel("FD to MNIST's test set, n = 200")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    ends = "; ".join(f"{NAMES[name].replace('`', '')} {end:.0f}" for name, end in last.items())
    save(
        figure,
        "quality.py",
        folder,
        title="Quality for the same computing time",
        alt=f"Fréchet distance against CPU-seconds, both on logarithmic axes. At the end: {ends}",
    )


def growth(results: dict[str, Any], folder: Path) -> None:
    """Seconds against size, both logarithmic."""
    entries = results["scaling"]
    figure, axes = plt.subplots(1, len(entries), figsize=(10.4, 2.6), sharey=False)
    for axis, (name, entry) in zip(axes, entries.items(), strict=True):
        work, _, size = name.partition(" against ")
        axis.plot(entry["sizes"], [1000 * s for s in entry["seconds"]], marker="o", **ROLES["model"])
        axis.set(xscale="log", yscale="log", xlabel=size, title=f"{work}\nexponent {entry['slope']:.2f}")
        axis.set_xticks(entry["sizes"], [str(n) for n in entry["sizes"]], fontsize=8)
        axis.minorticks_off()
    axes[0].set_ylabel("CPU-milliseconds")
    slopes = "; ".join(f"{name}: {entry['slope']:.2f}" for name, entry in entries.items())
    save(
        figure,
        "growth.py",
        folder,
        title="How cost grows",
        alt=f"Five lines on logarithmic axes, cost against one size each. Their slopes: {slopes}",
    )


def strips(folder: Path) -> None:
    """The first twenty pictures that each contender drew."""
    files = {name: folder / "samples" / f"{name}.png" for name in LOOKS}
    found = {name: file for name, file in files.items() if file.exists()}
    figure, axes = plt.subplots(len(found), 1, figsize=(8.4, 0.62 * len(found)), squeeze=False)
    for axis, (name, file) in zip(axes[:, 0], found.items(), strict=True):
        axis.imshow(np.asarray(Image.open(file)), cmap="gray", vmin=0, vmax=255)
        axis.set_ylabel(
            NAMES[name].replace("`", "").replace(", course", ",\ncourse"), rotation=0, ha="right", va="center"
        )
        axis.set(xticks=[], yticks=[])
        axis.grid(visible=False)
    save(
        figure,
        "pictures.py",
        folder,
        title="The first pictures that each drew",
        alt="A row of twenty pictures for each network, all trained for the same CPU-seconds: "
        + ", ".join(NAMES[name].replace("`", "") for name in found),
    )
