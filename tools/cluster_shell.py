"""Stand for a shell that runs its command on a Ray cluster: DVC starts it for a stage.

Usage: SHELL=tools/cluster_shell.sh dvc repro …   (set by `tools.cluster_places`)
"""

import argparse
import json
import os
import sys

from pipeline.cluster_command import Need, run_on_cluster
from pipeline.command import run_stage
from tools.cluster_places import ORDER


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="tools.cluster_shell", description=__doc__)
    parser.add_argument("-c", dest="command", required=True, help="what to run")
    command = parser.parse_args(argv).command
    order = json.loads(os.environ[ORDER])
    code = run_on_cluster(
        command,
        Need(**order["need"]),
        order["address"],
        name=os.environ["DVC_STAGE"],
        out=sys.stdout.buffer,
    )
    raise SystemExit(code)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
