"""Show originals under corruptions beside what the CAD says of each."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.cad.corrupted import Job, read_original
from pipeline.images.contact_sheet import Tile, draw_sheet, encode_sheet
from pipeline.images.corruptions.catalogue import SEVERITIES, corrupt
from pipeline.images.decode import DecodeParams
from pipeline.scoring.robustness_cells import CLEAN
from pipeline.storage import atomic_write

CELL_PX = (165, 220)


def draw_examples(
    path: Path,
    jobs: list[Job],
    chances: pd.DataFrame,
    threshold: float | None,
    *,
    worst: list[str],
    limits: DecodeParams,
) -> None:
    """Show cases, clean and under the worst corruptions, a row each, with what the CAD says."""
    sheet = []
    for job in jobs:
        pixels, known = read_original(job, limits), chances.loc[job.image_id]
        for name in worst:
            row = [Tile(pixels, f"{job.image_id}, clean: {verdict(known[CLEAN, 0], threshold)}")]
            for severity in SEVERITIES:
                score = known[name, severity]
                if np.isnan(score):
                    continue
                tile = corrupt(
                    pixels, name, severity=severity, image_id=job.image_id, seed=job.seed
                )
                words = f"{name.replace('_', ' ')} {severity}: {verdict(score, threshold)}"
                row.append(Tile(tile, words))
            sheet.append(row)
    if sheet:
        with atomic_write(path) as file:
            file.write(encode_sheet(draw_sheet(sheet, cell_px=CELL_PX)))


def verdict(score: float, threshold: float | None) -> str:
    """Word a score and its decision."""
    if threshold is None:
        return f"{score:.2f}"
    return f"{score:.2f}, {'malignant' if score >= threshold else 'benign'}"
