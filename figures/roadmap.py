"""The lessons, and which rests on which."""

from pathlib import Path

import matplotlib.pyplot as plt

from figures.style import save

LESSONS = {  # number: (name, column, row)
    "03": ("Forward process", 0, 0),
    "04": ("One jump", 1, 0),
    "05": ("Bayes posterior", 2, 0),
    "07": ("The ELBO", 3, 0),
    "08": ("Three terms", 4, 0),
    "09": ("The ε-loss", 5, 0),
    "01": ("Convolution", 0, 1),
    "02": ("GANs", 1, 1),
    "06": ("Two epsilons", 3, 1),
    "10": ("Train a U-Net", 5, 1),
    "11": ("Sampling", 6, 1),
    "12": ("Honest scores", 7.15, 0),
    "13": ("Make it yours", 7.15, 1),
    "14": ("Other languages", 7.15, 2),
    "15": ("Bug museum", 6, 2),
    "16": ("Where this leads", 4.7, 2),
}
RESTS_ON = [
    ("01", "02"), ("03", "04"), ("04", "05"), ("05", "07"), ("05", "06"), ("07", "08"), ("08", "09"), ("06", "09"),
    ("09", "10"), ("01", "10"), ("10", "11"), ("11", "12"), ("11", "13"), ("11", "14"), ("11", "15"),
    ("11", "16"),
]  # fmt: skip
BELOW = "arc,angleA=-90,angleB=-90,armA=32,armB=32,rad=6"  # under the boxes in between


def build(folder: Path | None = None) -> Path:
    """Draw and save the figure."""
    figure, axes = plt.subplots(figsize=(9.4, 2.5))
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
            arrow |= {"connectionstyle": BELOW}
        ends = [(column, -row) for _, column, row in (LESSONS[after], LESSONS[before])]
        axes.annotate("", *ends, arrowprops=arrow | {"patchA": boxes[before], "patchB": boxes[after]})
    axes.set(xlim=(-0.5, 7.75), ylim=(-2.3, 0.3))
    axes.axis("off")
    return save(
        figure,
        __file__,
        folder,
        title="The lessons",
        alt="Boxes in two rows joined by arrows. Above, in a chain: 03 Forward process, 04 One jump, 05 Bayes "
        "posterior, 07 The ELBO, 08 Three terms, 09 The ε-loss. Below: 01 Convolution leads to 02 GANs and, "
        "under the others, to 10 Train a U-Net; 06 Two epsilons stands between 05 and 09; 09 leads down "
        "to 10, and 10 to 11 Sampling. From 11 arrows lead to 12 Honest scores, 13 Make it yours, 14 Other "
        "languages, 15 Bug museum and 16 Where this leads",
    )


if __name__ == "__main__":
    build()
