"""Describe an image by some fifty numbers: what the input gate compares with the training images.

The numbers come from the smallest square crop that the members are made of, and from the size of
the original. They need NumPy alone and no network, so they are the same for every backbone, in
training and at the hospital. A descriptor is a `(len(FEATURES),)` float64 array in the order of
`FEATURES`, all finite. Turning the image by a quarter or mirroring it changes next to nothing.

Light is measured at `ANALYSIS_PX`, colour at a quarter of it, in CIELAB. Energies are base-2
logarithms, so that a factor of two is one unit.
"""

import numpy as np

from pipeline.images.colour_space import srgb_to_lab
from pipeline.images.resize import resize_to_square

DESCRIPTOR_VERSION = 1  # raised when the same crop would give other numbers
ANALYSIS_PX = 256
COLOUR_PX = 64
PLAN_PX = 16  # of the plan: the image without any detail

OCTAVES = 5  # of light, from 2 to 32 px of `ANALYSIS_PX`
COLOUR_OCTAVES = 3  # of a* and b*, from 2 to 8 px of `COLOUR_PX`
FLOOR = (1 / 255) ** 2 / 12  # energy of rounding to whole levels, added before a logarithm
ROUNDING = FLOOR**0.5
COLOUR_FLOOR = 0.01
SHARPNESS_STEPS = (1, 2, 4)  # pixels averaged
SHARPEST_RANK = 0.999  # of curvature and of steepness
DARK_LEVEL, LIGHT_LEVEL = 8, 250  # of 255: a channel beyond has lost its detail
FLAT_LEVEL = 1.01  # of 255: neighbours that differ by less are one colour
STEEP_RANK = 0.99  # of the gradients
AXIS_DEGREES = 5  # of a ruled line's direction to the image's sides
BINS = 32  # of the histogram of light
COLOUR_STEP = 8.0  # CIELAB units of a box of the histogram of colours
BOXES, BOX_OFFSET = 64, 32  # more than sRGB has on an axis; a* and b* begin below 0
NEUTRAL_CHROMA = 6.0  # below which a pixel is grey
SKIN_HUES = (-20.0, 95.0)  # degrees: from pink to yellowish brown
CENTRE_RADIUS, RIM_RADIUS = 0.45, 0.9  # of half the side
RINGS = 6

EXPOSURE = ("light_p01", "light_p10", "light_p50", "light_p90", "light_p99", "dark_share")
EXPOSURE += ("clipped_share",)
STRUCTURE = ("contrast", "entropy", "plan_spread", "flat_share")
TEXTURE = ("sharpness", "laplacian", *(f"octave_{k}" for k in range(OCTAVES)))
TEXTURE += tuple(f"colour_octave_{k}" for k in range(COLOUR_OCTAVES))
EDGES = ("steepness", "peakedness", "axis_share", "line_peak", "direction_2", "direction_4")
COLOUR = ("a_mean", "b_mean", "a_spread", "b_spread", "a_p05", "a_p95", "b_p05", "b_p95")
COLOUR += ("light_a", "light_b", "a_b", "chroma_mean", "hue_spread", "grey_share")
COLOUR += ("other_hue_share", "colour_entropy")
LAYOUT = ("centre_light", "centre_a", "centre_b", "rim_light_spread", "rim_colour_spread")
LAYOUT += ("ring_share", "tilt_share", "point_symmetry")
ORIGINAL = ("aspect_ratio",)
FEATURES = EXPOSURE + STRUCTURE + TEXTURE + EDGES + COLOUR + LAYOUT + ORIGINAL


def describe(crop: np.ndarray, *, width_px: int, height_px: int) -> np.ndarray:
    """Describe one image.

    Args:
        crop: RGB, `(side, side, 3)` uint8: the smallest square crop.
        width_px: Width of the original after EXIF orientation.
        height_px: Height of the original after EXIF orientation.

    Returns:
        `(len(FEATURES),)` float64, finite, in the order of `FEATURES`.

    Raises:
        ValueError: `crop` is not three-channel uint8, or the original has no pixels.
    """
    if min(width_px, height_px) < 1:
        raise ValueError(f"width_px and height_px must be at least 1. Got: {width_px, height_px}.")
    small = resize_to_square(crop, ANALYSIS_PX, resample="bilinear").astype(np.float64)
    light = small @ np.array([0.299, 0.587, 0.114]) / 255  # ITU-R BT.601 luma
    lab = srgb_to_lab(block_mean(small, ANALYSIS_PX // COLOUR_PX))
    found = (
        *measure_exposure(small, lab),
        *measure_structure(light, lab),
        *measure_texture(light, lab),
        *measure_edges(light),
        *measure_colour(lab),
        *measure_layout(lab),
        max(width_px, height_px) / min(width_px, height_px),
    )
    return np.array(found, np.float64)


def block_mean(values: np.ndarray, step: int) -> np.ndarray:
    """Average squares of `step` by `step` pixels; further axes stay."""
    rows, columns = values.shape[0] // step, values.shape[1] // step
    blocks = values.reshape(rows, step, columns, step, *values.shape[2:])
    return blocks.mean(axis=(1, 3))


def measure_exposure(small: np.ndarray, lab: np.ndarray) -> tuple[float, ...]:
    """Measure how light the image is, and how much of it is black or has a channel at its end."""
    quantiles = np.quantile(lab[..., 0], (0.01, 0.1, 0.5, 0.9, 0.99))
    dark = (small.max(axis=2) <= DARK_LEVEL).mean()
    return (*quantiles, dark, (small >= LIGHT_LEVEL).mean())


def measure_structure(light: np.ndarray, lab: np.ndarray) -> tuple[float, ...]:
    """Measure whether there is anything to be seen, at any scale, in light or in colour."""
    counts = np.histogram(light, BINS, (0, 1))[0]
    plan = block_mean(lab, COLOUR_PX // PLAN_PX).reshape(-1, 3)
    spread = np.linalg.norm(plan - plan.mean(axis=0), axis=1).mean()
    between = np.abs(np.diff(light, axis=0)), np.abs(np.diff(light, axis=1))
    flat = np.mean([(step < FLAT_LEVEL / 255).mean() for step in between])
    return np.log2(light.var() + FLOOR), entropy(counts), np.log2(spread + 0.1), flat


def measure_texture(light: np.ndarray, lab: np.ndarray) -> tuple[float, ...]:
    """Measure the energy of detail: fine against contrast, and of each octave against the next."""
    fine = np.log2((curvature(light) ** 2).mean() + FLOOR) - np.log2(light.var() + FLOOR)
    octaves = np.log2(octave_energies(light[..., None], OCTAVES + 1) + FLOOR)
    colours = np.log2(octave_energies(lab[..., 1:], COLOUR_OCTAVES) + COLOUR_FLOOR)
    return (measure_sharpness(light), fine, *(octaves[:-1] - octaves[1:]), *colours)


def octave_energies(values: np.ndarray, octaves: int) -> np.ndarray:
    """Return the mean square of what is lost by averaging 2 × 2 pixels, once and again."""
    found = []
    for _ in range(octaves):
        coarse = block_mean(values, 2)
        found.append((values**2).mean(axis=(0, 1)).sum() - (coarse**2).mean(axis=(0, 1)).sum())
        values = coarse
    return np.maximum(found, 0)


def measure_sharpness(light: np.ndarray) -> float:
    """Measure how narrow the strongest edges are, at the scale at which they are widest.

    Curvature against steepness: the width of an edge, whatever its height and however many edges
    there are. A strong blur leaves only noise at the finest scale, and shows at the coarser ones.
    """
    found = []
    for step in SHARPNESS_STEPS:
        scaled = block_mean(light, step)
        curved = np.quantile(np.abs(curvature(scaled)), SHARPEST_RANK)
        steep = np.quantile(np.sqrt(sum(part**2 for part in steps(scaled))), SHARPEST_RANK)
        found.append(np.log2((curved + ROUNDING) / (steep + ROUNDING)))
    return min(found)


def curvature(light: np.ndarray) -> np.ndarray:
    """Return the Laplacian of all but the outermost pixels."""
    around = light[:-2, 1:-1] + light[2:, 1:-1] + light[1:-1, :-2] + light[1:-1, 2:]
    return around - 4 * light[1:-1, 1:-1]


def steps(light: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradient of all but the outermost pixels: down, and across."""
    down, across = light[2:, 1:-1] - light[:-2, 1:-1], light[1:-1, 2:] - light[1:-1, :-2]
    return down / 2, across / 2


def measure_edges(light: np.ndarray) -> tuple[float, ...]:
    """Measure how steep, rare, straight and ruled the edges are."""
    down, across = steps(light)
    energy = down**2 + across**2
    total = energy.sum() + FLOOR * energy.size
    steep = np.log2(np.sqrt(np.quantile(energy, STEEP_RANK)) + ROUNDING)
    peaked = np.log2((energy**2).mean() + FLOOR**2) - 2 * np.log2(total / energy.size)
    sizes = np.abs(down), np.abs(across)
    ruled = np.minimum(*sizes) < np.tan(np.radians(AXIS_DEGREES)) * np.maximum(*sizes)
    # A line from side to side stands out of the other rows, or columns.
    profiles = (size.mean(axis=1 - axis) for axis, size in ((0, sizes[0]), (1, sizes[1])))
    lines = [profile.max() / (np.median(profile) + ROUNDING) for profile in profiles]
    # Twice the gradient's direction, weighed by its energy, and four times: one way, or two ways.
    twice = across**2 - down**2, 2 * across * down
    power = np.maximum(energy, FLOOR)
    fourfold = (twice[0] ** 2 - twice[1] ** 2) / power, 2 * twice[0] * twice[1] / power
    turns = [np.hypot(parts[0].sum(), parts[1].sum()) / total for parts in (twice, fourfold)]
    return (steep, peaked, energy[ruled].sum() / total, np.log2(max(lines) + 1), *turns)


def measure_colour(lab: np.ndarray) -> tuple[float, ...]:
    """Measure which colours there are, how many, and how they go with light."""
    pixels = lab.reshape(-1, 3)
    a, b = pixels[:, 1], pixels[:, 2]
    spread = pixels.std(axis=0)
    centred = pixels - pixels.mean(axis=0)
    scale = np.outer(spread, spread) + COLOUR_FLOOR
    together = centred.T @ centred / len(pixels) / scale
    chroma, hue = np.hypot(a, b), np.degrees(np.arctan2(b, a))
    coloured = chroma >= NEUTRAL_CHROMA
    other = coloured & ((hue < SKIN_HUES[0]) | (hue > SKIN_HUES[1]))
    along = np.hypot(a.sum(), b.sum()) / (chroma.sum() + 1)
    boxes = (np.floor(pixels / COLOUR_STEP).astype(np.int64) + BOX_OFFSET) @ (BOXES**2, BOXES, 1)
    return (
        *(a.mean(), b.mean(), np.log2(spread[1] + 0.1), np.log2(spread[2] + 0.1)),
        *(*np.quantile(a, (0.05, 0.95)), *np.quantile(b, (0.05, 0.95))),
        *(together[0, 1], together[0, 2], together[1, 2]),
        *(
            chroma.mean(),
            1 - along,
            1 - coloured.mean(),
            other.mean(),
            entropy(np.unique(boxes, return_counts=True)[1]),
        ),
    )


def measure_layout(lab: np.ndarray) -> tuple[float, ...]:
    """Measure how the middle differs from the rim, and whether the rim is of one kind."""
    y, x = (np.indices(lab.shape[:2]) + 0.5) / (lab.shape[0] / 2) - 1
    radius = np.hypot(y, x)
    centre, rim = lab[radius < CENTRE_RADIUS], lab[radius > RIM_RADIUS]
    light = lab[..., 0] - lab[..., 0].mean()
    power = (light**2).mean() + COLOUR_FLOOR
    ring = np.minimum((radius * RINGS / np.sqrt(2)).astype(int), RINGS - 1).ravel()
    sums = np.bincount(ring, light.ravel(), RINGS)
    ring_share = (sums**2 / np.bincount(ring, minlength=RINGS)).sum() / light.size / power
    tilt = ((light * x).mean() ** 2 + (light * y).mean() ** 2) / (x**2).mean() / power
    symmetry = (light * light[::-1, ::-1]).mean() / power
    rim_colour = np.linalg.norm(rim[:, 1:].std(axis=0))
    return (
        *(centre.mean(axis=0) - rim.mean(axis=0)),
        *(np.log2(rim[:, 0].std() + 0.1), np.log2(rim_colour + 0.1)),
        *(ring_share, tilt, symmetry),
    )


def entropy(counts: np.ndarray) -> float:
    """Return the entropy of counts in bits."""
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum())
