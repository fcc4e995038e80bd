"""Measure the data part of the pipeline against its peers and its goals, on real originals.

Usage: python -m tools.benchmark_data [--only PART] ../shared/data   (`make benchmark-data`)

Writes reports/benchmark-data/benchmark.json, and for each part a chart beside it; `--only` measures
one part and leaves the figures of the others as they are. A goal that is not met is printed as such
and changes no exit status: speed depends on the machine and on what else runs there.
"""

import argparse
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from pipeline.command import run_stage
from pipeline.deploy.machine import describe_machine
from pipeline.storage import read_json, write_json
from tools import benchmark_decode, benchmark_feed, benchmark_noop, benchmark_scaling
from tools.benchmark_part import draw_bars, goals_table, rows_table

TARGET = Path("reports/benchmark-data")
# Each takes the folder of originals, and returns `rows` (of equal keys), `goals` and `charts`.
PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "decode": benchmark_decode.measure,
    "scaling": benchmark_scaling.measure,
    "feed": benchmark_feed.measure,
    "noop": benchmark_noop.measure,
}
DISTRIBUTIONS = ("pillow", "simplejpeg", "pyvips", "pyvips-binary", "scipy")


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if not args.data.is_dir():
        raise ValueError(f"DATA must be a folder of originals. Got: {args.data}.")
    path = args.target / "benchmark.json"
    parts = read_json(path) if args.only and path.exists() else {}
    for name in [args.only] if args.only else PARTS:
        result = PARTS[name](args.data)
        result["command"] = " ".join(["python", *sys.orig_argv[1:]])
        result["machine"] = describe()
        parts[name] = result
        write_json(path, parts)
        if result["charts"]:
            draw_bars(result["charts"], args.target / f"{name}.png")
        print(f"\n{name}\n\n{rows_table(result['rows'])}\n")
    print(goals_table([one for name in PARTS if name in parts for one in parts[name]["goals"]]))
    print(f"benchmark_data: {len(parts)} parts in {args.target}")


def describe() -> dict[str, Any]:
    """Describe the machine, with the versions of what handles pixels."""
    machine = describe_machine()
    machine["versions"] |= {name: metadata.version(name) for name in DISTRIBUTIONS}
    return machine


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools.benchmark_data",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, help="folder with isic_acral/images and uda1/images")
    parser.add_argument("--only", choices=list(PARTS), help="measure this part alone")
    parser.add_argument("--target", type=Path, default=TARGET, help=f"default: {TARGET}")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
