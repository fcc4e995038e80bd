"""What tests of training side by side share: a DVC project of members, and who ran where when."""

import json
import subprocess

from tools.scratch import NOBODY

MEMBERS = {
    "b4": {"backbone": "b4", "input_px": 64, "epochs": 8},
    "b5": {"backbone": "b5", "input_px": 80, "epochs": 6},
    "b7": {"backbone": "b7", "input_px": 64, "epochs": 6},
}
VALUES = {
    "repro": {"jobs": 2, "cluster_gpus_per_member": 1, "cluster_cpus_per_member": 1},
    "parallel": {"engine": "local", "workers": 0, "ray_address": ""},
    "sample": {"isic_cli": {"seed": 1}},
    "sources": {"isic_cli": {"form": "isic_cli", "path": "data/sample/isic_cli"}},
    "split": {"train_folds": [0, 1]},
    "ensemble": {"members": ["b4", "b5", "b7"]},
    "member": MEMBERS,
}

WIRING = """\
stages:
  resize:
    matrix:
      member: ${ensemble.members}
    cmd: python stage.py data/resize/${key}
    deps: [stage.py]
    outs: ['data/resize/${key}']
  train:
    matrix:
      member: ${ensemble.members}
      fold: ${split.train_folds}
    cmd: python stage.py models/train/${key}
    params: ['member.${item.member}']
    deps: ['data/resize/${item.member}', stage.py]
    outs: ['models/train/${key}']
  predict:
    matrix:
      member: ${ensemble.members}
      fold: ${split.train_folds}
    cmd: python stage.py data/predict/${key}
    deps: ['models/train/${key}', stage.py]
    outs: ['data/predict/${key}']
  ensemble:
    cmd: python stage.py models/ensemble
    params: [member]
    deps: [data/predict, stage.py]
    outs: [models/ensemble]
"""


def make_project(root, stage):
    """Make a git and DVC project of two members and one fold, in which nothing has run."""
    values = VALUES | {"ensemble": {"members": ["b4", "b7"]}, "split": {"train_folds": [0]}}
    write_values(root, values)
    (root / "dvc.yaml").write_text(WIRING)
    (root / "stage.py").write_text(stage)
    (root / ".gitignore").write_text("/data/\n/models/\n/.resume/\n/ran.txt\n")
    (root / ".dvc").mkdir()
    (root / ".dvc/config").write_text("[core]\n    analytics = false\n")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True, env=NOBODY)


def write_values(root, values):
    (root / "params.yaml").write_text(json.dumps(values))  # JSON is YAML


def change(root, section, **values):
    """Change some values below a section, such as `member.b4`."""
    params = json.loads((root / "params.yaml").read_text())
    found = params
    for key in section.split("."):
        found = found[key]
    found |= values
    write_values(root, params)


def shared_places(lines):
    """Find places in which a run started while another was there.

    Args:
        lines: `start NAME PLACE` and `end NAME PLACE`, in the order in which they happened.
    """
    inside, shared = {}, []
    for event, name, place in (line.split(maxsplit=2) for line in lines):
        here = inside.setdefault(place, set())
        if event == "end":
            here.discard(name)
            continue
        shared += [(place, other, name) for other in sorted(here)]
        here.add(name)
    return shared
