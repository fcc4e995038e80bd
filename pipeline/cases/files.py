"""Find the image files of a raw folder, by the name that its table uses for them."""

import os
import unicodedata
from pathlib import Path

SUFFIXES = (".jpg", ".jpeg", ".png")


def find_images(folder: Path) -> dict[str, list[Path]]:
    """Find JPEG and PNG files at any depth, following links, leaving out hidden files.

    Returns:
        Paths relative to `folder`, sorted, by file name without its suffix, in Unicode's composed
        form (NFC).

    Raises:
        ValueError: A name is not UTF-8, which no table could hold.
        OSError: A folder cannot be read.
    """
    found: dict[str, list[Path]] = {}
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=_raise):
        real = os.path.realpath(place)
        if real in seen:  # a link back to a parent would never end
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        for name in names:
            path = Path(place, name)
            if path.suffix.lower() in SUFFIXES and not name.startswith("."):
                _check_name(path)
                stem = unicodedata.normalize("NFC", path.stem)
                found.setdefault(stem, []).append(path.relative_to(folder))
    return {stem: sorted(paths) for stem, paths in sorted(found.items())}


def _raise(error: OSError) -> None:
    raise error


def _check_name(path: Path) -> None:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"file names must be UTF-8. Got: {os.fsencode(path)!r}.") from None
