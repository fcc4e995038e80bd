"""Small tables that several tests make."""

import hashlib

import numpy as np
import pandas as pd

from pipeline.manifest import COLUMNS


def random_hash(seed):
    """Eight random 256-bit hashes, far from those of any other seed."""
    rng = np.random.default_rng(seed)
    return "-".join(rng.bytes(32).hex() for _ in range(8))


def make_manifest(*rows):
    """A manifest with one row per mapping; what a mapping leaves out is usual or unknown."""
    records = []
    for index, row in enumerate(rows):
        image_id = row.get("image_id", f"image_{index:04d}")
        usual = dict.fromkeys(COLUMNS, "") | {
            "image_id": image_id,
            "source": "here",
            "path": f"raw/{image_id}.jpg",
            "age_years": np.nan,
            "diagnosis_raw": "nevus",
            "diagnosis": "NV",
            "width_px": 600,
            "height_px": 450,
            "sha256": hashlib.sha256(image_id.encode()).hexdigest(),
        }
        records.append(usual | row)
    return pd.DataFrame(records, columns=list(COLUMNS))


def write_csv(path, header, *rows):
    """Write a table of comma-joined lines as they are given."""
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path
