"""Word the frame of `MODEL_CARD.md`: what Hugging Face's hub reads, and what holds for any bundle.

The front matter is YAML. Its figures are those of the ensemble on the test set; an undefined one is
left out.
"""

import json
from collections.abc import Iterable
from typing import Any

METRICS = {
    "macro_auroc": ("roc_auc", "macro AUROC, one class against the rest"),
    "accuracy": ("accuracy", "accuracy"),
    "macro_f1": ("f1", "macro F1"),
}
TAGS = ("dermoscopy", "skin-lesion", "ensemble", "onnx", "research-use-only")
USES = """## Uses

### Direct use

It is meant to assist people who judge lesions, in studies.

### Out-of-scope use

It must not decide on treatment, replace an examination, or be used on images that are not
dermoscopy."""
START = """## How to get started

```sh
python -m pipeline.cad verify --bundle BUNDLE --golden
python -m pipeline.cad predict --bundle BUNDLE IMAGE [--age N] [--sex S] [--site T]
```"""
END = """## Environmental impact

Not measured.

## More information

The page `reports/report.html` of the run that made this bundle has every figure with its chart:
calibration, decision curves, subgroups, robustness, galleries, and how to reproduce it."""


def word_front(
    name: str, measured: dict[str, Any], sources: Iterable[str], *, is_synthetic: bool
) -> str:
    """Word the block between the two lines of dashes, both included.

    Args:
        name: Of the model.
        measured: The ensemble's part of `metrics.json`.
        sources: Names of the archives.
        is_synthetic: All images are generated, so no archive's licence binds.
    """
    # JSON's strings are YAML's: a name from params.yaml cannot end the block.
    lines = ["---", "language: en", "library_name: onnx", "pipeline_tag: image-classification"]
    if is_synthetic:
        lines.append("license: apache-2.0")
    else:
        lines += ["license: other", 'license_name: "of the training images, see Training data"']
    lines += ["tags:", *(f"- {tag}" for tag in (*TAGS, *(["synthetic"] if is_synthetic else [])))]
    lines += ["model-index:", f"- name: {json.dumps(name)}", *_results(measured, sources), "---"]
    return "\n".join(lines)


def _results(measured: dict[str, Any], sources: Iterable[str]) -> list[str]:
    known = [key for key in METRICS if measured.get(key) is not None]
    if not known:
        return ["  results: []"]
    dataset = json.dumps(f"test set of {', '.join(sources)}, n = {measured['n']}")
    lines = ["  results:", "  - task:", "      type: image-classification", "    dataset:"]
    lines += ["      type: dermoscopy", f"      name: {dataset}", "    metrics:"]
    for key in known:
        kind, wording = METRICS[key]
        lines += [f"    - type: {kind}", f"      name: {json.dumps(wording)}"]
        lines.append(f"      value: {measured[key]:.6f}")
    return lines
