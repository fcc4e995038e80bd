"""A case with its maps: as a block of a gallery, as files, as rows of a table.

A map's file is a grey PNG, 0 to 255 for the map's 0 to 1. A map that is undefined has no file.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.images.contact_sheet import encode_sheet
from pipeline.images.gallery_sheet import COLUMNS, Block, Panel, SheetStyle, draw_gallery
from pipeline.storage import atomic_path, atomic_write

OCCLUSION, GRAD_CAM = "occlusion", "grad_cam"
ENSEMBLE = "ensemble"
LISTED = 2  # classes below the image, the most probable ones

HEADINGS = {
    "hits": "Hits: {shown} of {found}, spread evenly over the class's probability",
    "misses": "Misses: {shown} of {found}, spread evenly over the true class's probability",
    "errors": "The most confident errors: {shown} of {found}",
}
NOTES = (
    "Research use only; not a diagnosis. Pictures of the archives' cases: they may go where those "
    "may.",
    "The highest point of every map is 1: it says where, not how much. Occlusion: where hiding a "
    "patch lowers the ensemble's probability of a class. Grad-CAM: where the last features of one "
    "member speak for it; a map is only as fine as its cells.",
)


@dataclass(frozen=True, eq=False)
class CaseMap:
    """Where one model sees one class in an image.

    Attributes:
        method: `OCCLUSION` or `GRAD_CAM`.
        model: `ENSEMBLE`, or a member's name.
        label: The class.
        heat: `(map_px, map_px)` float in [0, 1]; NaN all over where undefined.
        probability: That the model gives the class.
        cells: Height and width of what the map was enlarged from.
        drop: The largest that hiding one patch takes off the probability; `None` with Grad-CAM.
    """

    method: str
    model: str
    label: str
    heat: np.ndarray
    probability: float
    cells: tuple[int, int]
    drop: float | None

    @property
    def is_defined(self) -> bool:
        """Whether there is a map."""
        return bool(np.isfinite(self.heat).all())

    @property
    def panel(self) -> Panel:
        """Caption the map, or say why there is none."""
        facts = f"p {self.probability:.2f}, {self.cells[0]} x {self.cells[1]} cells"
        if self.method == GRAD_CAM:
            why = f"No map: no place that {self.model} looks at speaks for {self.label}."
            return Panel(f"Grad-CAM {self.model}: {self.label}\n{facts}", self.heat, why)
        drop = "" if self.drop is None else f"\npatch: {-max(self.drop, 0):+.2f} at most"
        why = f"No map: hiding any one patch hardly lowers {self.label}."
        return Panel(f"Occlusion: {self.label}\n{facts}{drop}", self.heat, why)


@dataclass(frozen=True, eq=False)
class ExplainedCase:
    """A case with its answer and its maps.

    Attributes:
        image_id: Name.
        truth: Its class.
        predicted: What the ensemble says.
        probabilities: That the ensemble gives each class.
        maps: Of the class that is said, and of the true one where it differs.
    """

    image_id: str
    truth: str
    predicted: str
    probabilities: dict[str, float]
    maps: tuple[CaseMap, ...]

    @property
    def title(self) -> str:
        """Name the case, what is said of it and what it is."""
        said = f"says {self.predicted} ({self.probabilities[self.predicted]:.2f})"
        if self.truth == self.predicted:
            return f"{self.image_id}: {said}, rightly"
        return f"{self.image_id}: {said}; is {self.truth} ({self.probabilities[self.truth]:.2f})"

    def block(self, image: np.ndarray) -> Block:
        """Lay the case out: the image and the ensemble's maps first, then the members' by class."""
        surest = sorted(self.probabilities, key=lambda label: -self.probabilities[label])[:LISTED]
        listed = ", ".join(f"{label} {self.probabilities[label]:.2f}" for label in surest)
        crop = Panel(f"{self.image_id}\n{listed}")
        rows = [[crop, *(part.panel for part in self.maps if part.method == OCCLUSION)]]
        for label in dict.fromkeys((self.predicted, self.truth)):
            own = [m.panel for m in self.maps if m.method == GRAD_CAM and m.label == label]
            rows += [own[start : start + COLUMNS] for start in range(0, len(own), COLUMNS)]
        return Block(self.title, image, rows)

    def save_maps(self, folder: Path) -> list[str]:
        """Write the maps that are defined; return the names of their files."""
        names = []
        for part in self.maps:
            if part.is_defined:
                names.append(f"{self.image_id}_{part.method}_{part.model}_{part.label}.png")
                with atomic_path(folder / names[-1]) as path:
                    Image.fromarray(np.round(255 * part.heat).astype(np.uint8)).save(path)
        return names


@dataclass(frozen=True, eq=False)
class ShownShelf:
    """Cases of a gallery that belong together, perhaps none.

    Attributes:
        gallery: Which one.
        title: What they are, and how many of how many.
        cases: In the order in which they are shown.
    """

    gallery: str
    title: str
    cases: tuple[ExplainedCase, ...]


def draw_shelves(
    path: Path,
    words: Sequence[str],
    shelves: Iterable[ShownShelf],
    read_crop: Callable[[str], np.ndarray],
    style: SheetStyle,
) -> None:
    """Write a gallery as PNG.

    Args:
        path: PNG to write.
        words: Heading, and what stands below `NOTES`.
        shelves: An empty one shows its title.
        read_crop: Image id to RGB pixels, square.
        style: Sizes and colours.
    """
    parts: list[str | Block] = []
    for shelf in shelves:
        parts.append(shelf.title)
        parts += [case.block(read_crop(case.image_id)) for case in shelf.cases]
    with atomic_write(path) as file:
        file.write(encode_sheet(draw_gallery(words[0], [*NOTES, *words[1:]], parts, style)))


def save_cases(folder: Path, shelves: Iterable[ShownShelf]) -> list[dict[str, Any]]:
    """Write the maps of the cases shown; list the cases, one row for each time one is shown."""
    rows, files = [], {}
    for shelf in shelves:
        for case in shelf.cases:
            if case.image_id not in files:
                files[case.image_id] = " ".join(case.save_maps(folder))
            rows.append(
                {"image_id": case.image_id, "truth": case.truth, "predicted": case.predicted}
                | {"probability": case.probabilities[case.predicted]}
                | {"truth_probability": case.probabilities[case.truth]}
                | {"gallery": shelf.gallery, "map_files": files[case.image_id]}
            )
    return rows


def map_rows(cases: Iterable[ExplainedCase]) -> list[dict[str, Any]]:
    """List the maps of cases, one row each."""
    return [
        {"image_id": case.image_id, "method": part.method, "model": part.model}
        | {"class": part.label, "probability": part.probability, "is_defined": part.is_defined}
        | {"cells_high": part.cells[0], "cells_wide": part.cells[1], "largest_drop": part.drop}
        for case in cases
        for part in case.maps
    ]
