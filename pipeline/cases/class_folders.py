"""Images without a table, in a folder per class: `melanoma/a.jpg`, or `train/MEL/a.jpg`.

A folder is named by one of the nine classes, by its full name, or by a word of ISIC's archive or of
HAM10000 for the diagnosis; case does not matter, and blanks, `-` and `_` are the same. Folders of
other names are passed over, but those above an image must name one class. Nothing is known of the
patient.

An image with a name of ISIC's archive keeps it as its id, so that other sources recognise it. Any
other is named by its path, for two folders may both hold a `1.jpg`.
"""

import re
from functools import partial
from pathlib import Path

from pipeline.cases import diagnosis
from pipeline.cases.files import find_images
from pipeline.cases.rows import Row, Words, make_row
from pipeline.cases.tables import Record

NEEDS = "a folder per class"
ARCHIVE_NAME = re.compile(r"ISIC_[0-9]{7}(_downsampled)?")


def is_in(folder: Path) -> bool:
    """Say whether a folder, or one folder below it, has a folder named by a class."""
    folders = [*folder.glob("*/"), *folder.glob("*/*/")]
    return any(diagnosis.is_folder_of_class(path.name) for path in folders)


def read_rows(folder: Path) -> list[Row]:
    """Make a row of each image; its line is its place in the order of paths, from 1."""
    paths = sorted(path for found in find_images(folder).values() for path in found)
    return [_row(line, path) for line, path in enumerate(paths, start=1)]


def _row(line: int, path: Path) -> Row:
    names = path.parts[:-1]
    classes = [name for name in names if diagnosis.is_folder_of_class(name)]
    is_archives = ARCHIVE_NAME.fullmatch(path.stem)
    return make_row(
        Record(line, {}, problem=""),
        Words(
            image_id=path.stem if is_archives else "-".join([*names, path.stem]),
            path=path,
            patient_id="",
            lesion_id="",
            sex="",
            age="",
            site=("", ""),
            diagnosis_raw="/".join(classes or names),
            classify=partial(diagnosis.class_of_folders, names),
            licence="",
            problem=None,
        ),
    )
