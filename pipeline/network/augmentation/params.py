"""Section `train.augment`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AugmentParams:
    """Section `train.augment` of `params.yaml`; 0 or false switches an operation off."""

    dihedral: bool
    brightness: float
    contrast: float
    saturation: float
    rotate_degrees: float
    scale: float
    shift: float
    cutout_side: float
    cutout_probability: float

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "saturation", "scale", "shift", "cutout_side"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"augment.{name} must be in [0, 1). Got: {getattr(self, name)}.")
        if not 0 <= self.cutout_probability <= 1:
            raise ValueError(
                f"augment.cutout_probability must be in [0, 1]. Got: {self.cutout_probability}."
            )
