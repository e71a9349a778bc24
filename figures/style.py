"""What all figures share: the course's style, and SVG bytes that are the same at every build."""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from diffusion_lesson.page import plots

plots.use_style()
# Paths instead of fonts, and no random names or dates: the same figure is the same file.
plt.rcParams.update({"svg.fonttype": "path", "svg.hashsalt": "diffusion-lesson"})


def save(figure: Figure, script: str, folder: Path | None = None, *, title: str, alt: str) -> Path:
    """Write the figure as an SVG beside its script, or into another folder; what is seen in it goes along."""
    path = (folder or Path(script).parent) / Path(script).with_suffix(".svg").name
    figure.savefig(path, metadata={"Date": None, "Creator": None, "Title": title, "Description": alt})
    plt.close(figure)
    return path
