"""The files of a member and of the ensemble that are compared, and their bytes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.network.member_params import MemberParams

ENSEMBLE = "ensemble"
ARTEFACTS = ("training_checkpoint", "weights", "savedmodel", "onnx")

Row = dict[str, Any]


@dataclass(frozen=True)
class MemberArtefacts:
    """One member's files, wherever they lie.

    Attributes:
        member: Its name.
        recipe: Its section of `params.yaml`.
        parameters: Number of its parameters, of all networks that it averages.
        training_checkpoint_bytes: Size of what their training resumes from: weights and optimizer.
        weights: Keras' `.weights.h5`, one for each of its networks.
        views: How many views of an image it averages.
        savedmodel: Folder of the TensorFlow SavedModel.
        onnx: The exported graph.
    """

    member: str
    recipe: MemberParams
    parameters: int
    training_checkpoint_bytes: int
    weights: tuple[Path, ...]
    views: int
    savedmodel: Path
    onnx: Path

    @property
    def inputs(self) -> list[str]:
        """Names of the graph's inputs, in the order of the network's."""
        image = f"image_{self.recipe.crop_px}_{self.recipe.input_px}"
        return [image, "demographics"] if self.recipe.demographics else [image]


@dataclass(frozen=True)
class EnsembleArtefacts:
    """The ensemble's files: the merged graph, and what the native path averages with."""

    onnx: Path
    reference: Path
    probability_map: Path


def missing_files(members: list[MemberArtefacts], ensemble: EnsembleArtefacts) -> list[str]:
    """Return the paths at which there is nothing."""
    paths = [p for m in members for p in (*m.weights, m.savedmodel, m.onnx)]
    paths += [ensemble.onnx, ensemble.reference, ensemble.probability_map]
    return [str(path) for path in paths if not path.exists()]


def measure_sizes(members: list[MemberArtefacts], ensemble: EnsembleArtefacts) -> list[Row]:
    """Return the bytes of each artefact; the ensemble's native ones are its members' sums."""
    sizes = {
        member.member: {
            "training_checkpoint": member.training_checkpoint_bytes,
            "weights": sum(path.stat().st_size for path in member.weights),
            "savedmodel": sum(
                p.stat().st_size for p in member.savedmodel.rglob("*") if p.is_file()
            ),
            "onnx": member.onnx.stat().st_size,
        }
        for member in members
    }
    whole = {name: sum(one[name] for one in sizes.values()) for name in ARTEFACTS[:-1]}
    sizes[ENSEMBLE] = whole | {"onnx": ensemble.onnx.stat().st_size}
    return [
        {"member": member, "artefact": artefact, "bytes": found[artefact]}
        for member, found in sizes.items()
        for artefact in ARTEFACTS
    ]


def count_parameters(members: list[MemberArtefacts]) -> list[Row]:
    """Return the number of parameters, and the bytes that they take in float32."""
    counts = {member.member: member.parameters for member in members}
    counts[ENSEMBLE] = sum(counts.values())
    return [
        {"member": name, "parameters": count, "float32_bytes": 4 * count}
        for name, count in counts.items()
    ]
