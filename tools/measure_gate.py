"""Measure on real images how many genuine ones the input gate flags, and how many pictures of else.

Usage: python -m tools.measure_gate ../shared/data [--target reports/gate] [--drawn 40]

The gate is fitted on half of the lesions of `ham10000`, and once more with half of `uda1` and of
`isic_acral`; all figures are of what it was not fitted on. Everything passes the decoder and the
crop of `params.yaml`, as at the hospital. Measured against:

- genuine: the other halves; goal: at most 5 % flagged of the folders that were fitted on.
- degraded: 100 images of that of `ham10000`, blurred by a share of the shorter side, darkened or
  brightened by a factor of light: how many are flagged, and how many for the right reason.
- designed on: drawings and photographs that were looked at while the features were chosen.
- kept aside: drawings and photographs that were not; goal: at least 95 % flagged.

Photographs are those that come with scikit-image, scikit-learn and Matplotlib, whole and as eight
parts of each; parts of one photograph are alike, so their interval is too narrow. Prints a table
with 95 % Wilson intervals and writes it to `gate.csv`; `gate.json` holds the table and the limits.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from pipeline import params, storage
from pipeline.command import run_stage
from pipeline.images.crop import CropParams
from pipeline.images.decode import DecodeParams
from pipeline.images.gate.fit import fit_gate
from pipeline.images.gate.limits import WORDS, InputGate
from tools.gate_sets import (
    ASIDE,
    DESIGNED,
    GENUINE,
    SEED,
    Described,
    Reader,
    degrade,
    draw_pictures,
    read_photographs,
)
from tools.summary import table

FOLDERS = {"ham10000": "isic_id", "uda1": "image_name", "isic_acral": "isic_id"}
FALSE_POSITIVE_SHARE = 0.03
ALL = "all kinds"
FLAGGED_GOAL, FALSE_GOAL = 0.95, 0.05


def main() -> None:
    args = parse_args(None)
    measure(args.data, args.target, args.drawn)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools.measure_gate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, help=f"folder with {', '.join(FOLDERS)}")
    parser.add_argument("--target", type=Path, default=Path("reports/gate"), help="to write to")
    parser.add_argument("--drawn", type=int, default=40, help="drawings of each kind")
    return parser.parse_args(argv)


def measure(data: Path, target: Path, drawn: int) -> None:
    """Fit, measure, print and write."""
    reader = Reader(params.load("ingest", DecodeParams), params.load("crop", CropParams))
    tables = {name: read_table(data / name, column) for name, column in FOLDERS.items()}
    real = {n: reader.describe_all(t.path, n) for n, t in tables.items()}
    kept = {name: halve(images.group.to_numpy()) for name, images in tables.items()}
    first = next(iter(FOLDERS))
    held = tables[first].path[~kept[first]]
    others = [*degrade(held, reader), *draw_pictures(drawn, reader), *read_photographs(reader)]
    rows, limits = [], {}
    for names in ((first,), tuple(FOLDERS)):
        gate = fit_gate(
            np.concatenate([real[name][kept[name]] for name in names]),
            groups=np.concatenate([tables[name].group[kept[name]] for name in names]),
            false_positive_share=FALSE_POSITIVE_SHARE,
        )
        genuine = [Described(name, GENUINE, real[name][~kept[name]]) for name in FOLDERS]
        limits["+".join(names)] = gate.limits
        rows += [{"fitted_on": "+".join(names), **count(gate, d)} for d in total(genuine + others)]
    print(lay_out(rows))
    write(rows, limits, target)


def read_table(folder: Path, column: str) -> pd.DataFrame:
    """Read which images there are: columns path and group, a lesion or else the image itself."""
    cases = pd.read_csv(folder / "metadata.csv", dtype=str, keep_default_na=False)
    lesions = cases.get("lesion_id", pd.Series("", index=cases.index))
    paths = [folder / "images" / f"{image_id}.jpg" for image_id in cases[column]]
    return pd.DataFrame({"path": paths, "group": lesions.where(lesions != "", cases[column])})


def halve(groups: np.ndarray) -> np.ndarray:
    """Mark the images of half of the groups, `(n,)` bool."""
    names = np.unique(groups)
    chosen = np.random.default_rng(SEED).permutation(names)[: len(names) // 2]
    return np.isin(groups, chosen)


def total(parts: list[Described]) -> list[Described]:
    """Add to each role the sum of its kinds; what is degraded differs too much for one."""
    sums = []
    for role in (GENUINE, DESIGNED, ASIDE):
        of_role = [part.descriptors for part in parts if part.role == role]
        sums.append(Described(ALL, role, np.concatenate(of_role)))
    return parts + sums


def count(gate: InputGate, images: Described) -> dict[str, Any]:
    """Count what a gate flags of one kind, with a Wilson interval, and by reason."""
    flags = gate.judge(images.descriptors)[1]
    n = len(images.descriptors)
    flagged = int(np.any(list(flags.values()), axis=0).sum())
    interval = binomtest(flagged, n).proportion_ci(method="wilson")
    return {
        "role": images.role,
        "kind": images.kind,
        "n": n,
        "flagged": flagged,
        "share": flagged / n,
        "share_low": interval.low,
        "share_high": interval.high,
        "expected": images.expected,
        "as_expected": int(flags[images.expected].sum()) if images.expected else None,
        **{code: int(flags[code].sum()) for code in WORDS},
    }


def lay_out(rows: list[dict[str, Any]]) -> str:
    """Lay the rows out for the terminal, a table for each gate, and say whether goals are met."""
    parts = []
    for fitted_on in dict.fromkeys(row["fitted_on"] for row in rows):
        ours = [row for row in rows if row["fitted_on"] == fitted_on]
        head = (f"fitted on half of {fitted_on}", "", "n", "flagged", "95 %", "right reason")
        head += tuple(code.replace("_", " ") for code in WORDS)
        parts += [table(head, [cells(row) for row in ours]), verdict(fitted_on, ours)]
    return "\n\n".join(parts)


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Write one row as words."""
    right = "" if row["as_expected"] is None else f"{row['as_expected'] / row['n']:.1%}"
    interval = f"{row['share_low']:.1%} to {row['share_high']:.1%}"
    reasons = (str(row[code] or "") for code in WORDS)
    return (
        row["role"],
        row["kind"],
        str(row["n"]),
        f"{row['share']:.1%}",
        interval,
        right,
        *reasons,
    )


def verdict(fitted_on: str, rows: list[dict[str, Any]]) -> str:
    """Say whether both goals are met: on the other half of what the gate was fitted on."""
    share = {(row["role"], row["kind"]): row["share"] for row in rows}
    false = share[GENUINE, fitted_on if fitted_on in FOLDERS else ALL]
    found = share[ASIDE, ALL]
    met = false <= FALSE_GOAL and found >= FLAGGED_GOAL
    return (
        f"{found:.1%} of what was kept aside is flagged at {false:.1%} of {fitted_on} "
        f"(goal {'met' if met else 'NOT met'})"
    )


def write(rows: list[dict[str, Any]], limits: dict[str, Any], target: Path) -> None:
    """Write the table, and the limits of both gates."""
    with storage.atomic_write(target / "gate.csv", "w") as file:
        pd.DataFrame(rows).to_csv(file, index=False, lineterminator="\n")
    storage.write_json(target / "gate.json", {"rows": rows, "limits": limits})


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
