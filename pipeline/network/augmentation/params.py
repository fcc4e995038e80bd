"""Which operations training images undergo, how often and how strongly; readable without Keras.

An operation whose probability or strength is 0 is switched off: it is left out of the compiled
step. Lengths are shares of an image's side unless their name says pixels.
"""

from dataclasses import dataclass, fields

# Hairs are unrolled in the compiled step.
MOST_HAIRS = 8


@dataclass(frozen=True)
class Rotate:
    """Turn about the centre, by at most `degrees` either way."""

    probability: float
    degrees: float

    @property
    def is_on(self) -> bool:
        return self.probability > 0 and self.degrees > 0


@dataclass(frozen=True)
class ShiftScaleRotate:
    """Shift, scale and turn at once; each the largest change either way."""

    probability: float
    shift: float
    scale: float
    degrees: float

    @property
    def is_on(self) -> bool:
        return self.probability > 0 and max(self.shift, self.scale, self.degrees) > 0


@dataclass(frozen=True)
class Distortion:
    """One of the three whose strength is above 0, each as likely.

    Attributes:
        probability: That one is drawn.
        optical: Largest k of the lens that moves a point at r, in sides from the centre, to
            `r (1 + k (r² + r⁴))`; barrel and pincushion.
        grid: Largest relative change of the width of a fifth of the side.
        elastic: Largest displacement of a control point; they lie a quarter of the side apart.
    """

    probability: float
    optical: float
    grid: float
    elastic: float

    @property
    def kinds(self) -> tuple[str, ...]:
        if not self.probability:
            return ()
        return tuple(name for name in ("optical", "grid", "elastic") if getattr(self, name) > 0)

    @property
    def is_on(self) -> bool:
        return bool(self.kinds)


@dataclass(frozen=True)
class Softening:
    """One of the four that are on, each as likely; drawn from half its strength to all of it.

    Attributes:
        probability: That one is drawn.
        motion_px: Longest path of motion blur, at any angle; at most 5.
        gaussian_px: Largest standard deviation of Gaussian blur, cut off at 2 pixels.
        median: Whether the median of 3 by 3 pixels is among them.
        noise: Largest standard deviation of Gaussian noise, of the full range.
    """

    probability: float
    motion_px: float
    gaussian_px: float
    median: bool
    noise: float

    @property
    def kinds(self) -> tuple[str, ...]:
        if not self.probability:
            return ()
        names = ("motion_px", "gaussian_px", "median", "noise")
        return tuple(name for name in names if getattr(self, name) > 0)


@dataclass(frozen=True)
class Amount:
    """A change of brightness, contrast or saturation by at most `strength` either way."""

    probability: float
    strength: float

    @property
    def is_on(self) -> bool:
        return self.probability > 0 and self.strength > 0


@dataclass(frozen=True)
class Clahe:
    """Contrast-limited adaptive histogram equalisation; its limit is drawn from 1 upward."""

    probability: float
    clip_limit: float

    @property
    def is_on(self) -> bool:
        return self.probability > 0


@dataclass(frozen=True)
class HueSaturationValue:
    """Largest shifts: of hue in degrees, of saturation and value of their full range."""

    probability: float
    hue_degrees: float
    saturation: float
    value: float

    @property
    def is_on(self) -> bool:
        return self.probability > 0 and max(self.hue_degrees, self.saturation, self.value) > 0


@dataclass(frozen=True)
class Hairs:
    """Thin dark curved lines: at most how many, how wide and how dark."""

    probability: float
    count: int
    width: float
    darkness: float

    @property
    def is_on(self) -> bool:
        return self.probability > 0 and min(self.count, self.width, self.darkness) > 0


@dataclass(frozen=True)
class Surround:
    """A dark round frame; its radius is drawn from the least to where only corners are dark."""

    probability: float
    least_radius: float
    edge: float

    @property
    def is_on(self) -> bool:
        return self.probability > 0


@dataclass(frozen=True)
class Cutout:
    """A black square with `side`, its centre anywhere."""

    probability: float
    side: float

    @property
    def is_on(self) -> bool:
        return self.probability > 0 and self.side > 0


# Least and largest value of each strength.
RANGES = {
    "rotate.degrees": (0, 180),
    "shift_scale_rotate.shift": (0, 0.5),
    "shift_scale_rotate.scale": (0, 0.9),
    "shift_scale_rotate.degrees": (0, 180),
    "distortion.optical": (0, 1),
    "distortion.grid": (0, 1),
    "distortion.elastic": (0, 0.1),  # neighbours a quarter apart cannot change places
    "softening.motion_px": (0, 5),
    "softening.gaussian_px": (0, 2),
    "softening.noise": (0, 1),
    "brightness.strength": (0, 1),
    "contrast.strength": (0, 1),
    "saturation.strength": (0, 1),
    "clahe.clip_limit": (1, 256),
    "hue_saturation_value.hue_degrees": (0, 180),
    "hue_saturation_value.saturation": (0, 1),
    "hue_saturation_value.value": (0, 1),
    "hairs.count": (0, MOST_HAIRS),
    "hairs.width": (0, 0.1),
    "hairs.darkness": (0, 1),
    "surround.least_radius": (0.1, 0.67),
    "surround.edge": (0.001, 0.2),
    "cutout.side": (0, 1),
}


@dataclass(frozen=True)
class AugmentParams:
    """Section `train.augment` of `params.yaml`, in the order in which the operations are applied.

    `dihedral` is one of the eight views of a square, each as likely.
    """

    dihedral: bool
    rotate: Rotate
    shift_scale_rotate: ShiftScaleRotate
    distortion: Distortion
    hairs: Hairs
    surround: Surround
    saturation: Amount
    contrast: Amount
    brightness: Amount
    softening: Softening
    clahe: Clahe
    hue_saturation_value: HueSaturationValue
    cutout: Cutout

    def __post_init__(self) -> None:
        names = [field.name for field in fields(self) if field.name != "dihedral"]
        limits = {f"{name}.probability": (0, 1) for name in names} | RANGES
        for place, (least, largest) in limits.items():
            operation, _, name = place.partition(".")
            value = getattr(getattr(self, operation), name)
            if not least <= value <= largest:
                raise ValueError(
                    f"augment.{place} must be from {least} to {largest}. Got: {value}."
                )

    @property
    def moves_pixels(self) -> bool:
        """Whether any operation of geometry is on."""
        operations = (self.rotate, self.shift_scale_rotate, self.distortion)
        return self.dihedral or any(operation.is_on for operation in operations)
