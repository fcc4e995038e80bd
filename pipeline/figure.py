"""Figures as PNG files: one look, and the same bytes for the same figures.

Colours are Okabe and Ito's, told apart by the colour-blind. Drawn without pyplot, so there is no
global state and no display is needed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline.storage import atomic_path

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "legend.fontsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "savefig.dpi": 200,
}


@contextmanager
def drawn_to(path: Path, width_in: float, height_in: float) -> Iterator[Figure]:
    """Give a figure in the project's style, and write it to a PNG when all is drawn.

    Args:
        path: PNG to write, whole or not at all.
        width_in: Width in inches; text keeps its size in points.
        height_in: Height in inches.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        # Without its name Matplotlib writes no version either; a PNG carries no time of its own.
        with atomic_path(path) as temporary:
            figure.savefig(temporary, metadata={"Software": None})
