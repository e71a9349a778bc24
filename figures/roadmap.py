"""The lessons, and which rests on which."""

from pathlib import Path

import matplotlib.pyplot as plt

from figures.style import save

LESSONS = {  # number: (name, column, row)
    "03": ("Forward process", 0, 0),
    "04": ("One jump", 1, 0),
    "05": ("Bayes posterior", 2, 0),
    "06": ("Two epsilons", 3, 0),
    "07": ("The ELBO", 4, 0),
    "08": ("Three terms", 5, 0),
    "09": ("The ε-loss", 6, 0),
    "01": ("Convolution", 0, 1),
    "02": ("GANs", 1, 1),
    "12": ("Honest scores", 3, 1),
    "11": ("Sampling", 5, 1),
    "10": ("Train a U-Net", 6, 1),
    "13": ("Make it yours", 2.5, 2),
    "16": ("Where this leads", 3.75, 2),
    "14": ("Other languages", 5, 2),
    "15": ("Bug museum", 6.05, 2),
}
RESTS_ON = [  # what each lesson asks for in its first lines, without what follows from another arrow
    ("01", "02"), ("03", "04"), ("04", "05"), ("05", "06"), ("06", "07"), ("07", "08"), ("08", "09"),
    ("09", "10"), ("01", "10"), ("10", "11"), ("02", "12"), ("11", "12"), ("11", "13"), ("11", "14"), ("11", "15"),
    ("13", "16"), ("14", "16"),
]  # fmt: skip
ABOVE = "arc,angleA=90,angleB=90,armA=32,armB=32,rad=6"  # over the boxes in between


def build(folder: Path | None = None) -> Path:
    """Draw and save the figure."""
    figure, axes = plt.subplots(figsize=(8.6, 2.5))
    boxes = {}
    for number, (name, column, row) in LESSONS.items():
        colour = "#E69F00" if number == "10" else "#444444"
        look = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": colour}
        text = axes.text(
            column, -row, f"{number}\n{name}", ha="center", va="center", fontsize=9, bbox=look | {"linewidth": 1.6}
        )
        boxes[number] = text.get_bbox_patch()
    for before, after in RESTS_ON:
        arrow = {"arrowstyle": "-|>", "color": "#666666", "linewidth": 1.4, "shrinkA": 0, "shrinkB": 1}
        if (before, after) == ("01", "10"):
            arrow |= {"connectionstyle": ABOVE}
        ends = [(column, -row) for _, column, row in (LESSONS[after], LESSONS[before])]
        axes.annotate("", *ends, arrowprops=arrow | {"patchA": boxes[before], "patchB": boxes[after]})
    axes.set(xlim=(-0.5, 6.5), ylim=(-2.3, 0.3))
    axes.axis("off")
    return save(
        figure,
        __file__,
        folder,
        title="The lessons",
        alt="Boxes in three rows joined by arrows. Above, in a chain: 03 Forward process, 04 One jump, 05 Bayes "
        "posterior, 06 Two epsilons, 07 The ELBO, 08 Three terms, 09 The ε-loss. In the middle: 01 Convolution "
        "leads to 02 GANs and, over the others, to 10 Train a U-Net; 09 leads down to 10, and 10 to 11 Sampling. "
        "From 11 arrows lead to 12 Honest scores, where one comes from 02 as well, and down to 13 Make it yours, "
        "14 Other languages and 15 Bug museum. 13 and 14 lead to 16 Where this leads",
    )


if __name__ == "__main__":
    build()
