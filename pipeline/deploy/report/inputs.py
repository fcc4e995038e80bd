"""What the stages before have written; what is absent names the stage to run."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from pipeline import manifest
from pipeline.page import Picture
from pipeline.storage import read_json

CHART_COLOURS = 128
PHOTOGRAPH_QUALITY = 82
PHOTOGRAPH_SIDE_PX = 1800


class ReportError(ValueError):
    """Something that the report shows has not been written."""


@dataclass(frozen=True)
class Folder:
    """Outputs of one stage.

    Attributes:
        stage: Its name, said where a file is absent.
        path: The folder.
    """

    stage: str
    path: Path

    def file(self, name: str) -> Path:
        """Return the place of a file that is there.

        Raises:
            ReportError: It is not.
        """
        path = self.path / name
        if not path.is_file():
            raise ReportError(
                f"{path} must exist. Got: no such file. Run `dvc repro {self.stage}`."
            )
        return path

    def table(self, name: str) -> pd.DataFrame:
        """Read `<name>.csv`; only an empty cell is a missing one."""
        return pd.read_csv(self.file(f"{name}.csv"), keep_default_na=False, na_values=[""])

    def json(self, name: str) -> Any:
        """Read `<name>.json`."""
        return read_json(self.file(f"{name}.json"))

    def chart(self, name: str, caption: str, alt: str) -> Picture:
        """Read `<name>.png`, a drawing, in the few colours that it needs."""
        with Image.open(self.file(f"{name}.png")) as image:
            few = image.convert("RGB").quantize(CHART_COLOURS, dither=Image.Dither.NONE)
        return Picture(_encode(few, "PNG", optimize=True), caption, alt)

    def photographs(self, name: str, caption: str, alt: str) -> Picture:
        """Read `<name>.png`, which shows photographs, as JPEG of a size to look at."""
        with Image.open(self.file(f"{name}.png")) as image:
            shown = image.convert("RGB")
        shown.thumbnail((PHOTOGRAPH_SIDE_PX, 4 * PHOTOGRAPH_SIDE_PX))
        data = _encode(shown, "JPEG", quality=PHOTOGRAPH_QUALITY)
        return Picture(data, caption, alt, "image/jpeg")


@dataclass(frozen=True, eq=False)
class Inputs:
    """All that the report is made of.

    Attributes:
        cases: The manifest with folds.
        settings: `params.yaml`, whole.
    """

    cases: pd.DataFrame
    settings: dict[str, Any]
    ingested: Folder
    split: Folder
    ensemble: Folder
    thresholds: Folder
    gate: Folder
    bundle: Folder
    evaluated: Folder
    clinical: Folder
    benchmark: Folder
    robustness: Folder
    explained: Folder

    @property
    def percent(self) -> str:
        """How wide the intervals are, in words."""
        return f"{100 * self.settings['evaluate']['interval']:g} %"

    @property
    def members(self) -> list[str]:
        """Names of the members that are deployed."""
        return list(self.settings["ensemble"]["members"])

    @property
    def generated(self) -> list[str]:
        """Sources whose images stage `sample` drew; they show no patient."""
        return manifest.generated_sources(self.cases)

    @property
    def whose_images(self) -> str:
        """Say whom the pictures show."""
        sources = sorted(set(self.cases.source))
        if set(sources) == set(self.generated):
            return "The pictures are synthetic and show no patient."
        if self.generated:
            sources = [name for name in sources if name not in self.generated]
        return (
            f"The pictures show patients of {', '.join(sources)}: the archives' images, under "
            "their licences."
        )


def _encode(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()
