"""Draw how colour and sharpness of each image change."""

import numpy as np

from pipeline.network.augmentation.draw_geometry import choose
from pipeline.network.augmentation.kernels import IDENTITY, gaussian_kernels, motion_kernels
from pipeline.network.augmentation.params import AugmentParams

# Whole numbers below this are exact in float32.
SEED_LIMIT = 2**24


def draw_colour(
    params: AugmentParams, rng: np.random.Generator, count: int, size_px: int
) -> np.ndarray:
    """Draw the factors of saturation and contrast, and the shift of brightness in levels."""
    amounts = (params.saturation, params.contrast, params.brightness)
    u = rng.random((count, 3, 2))
    chosen = u[:, :, 0] < [amount.probability for amount in amounts]
    change = chosen * (2 * u[:, :, 1] - 1) * [amount.strength for amount in amounts]
    return np.stack([1 + change[:, 0], 1 + change[:, 1], 255 * change[:, 2]], axis=1)


def draw_softening(
    params: AugmentParams, rng: np.random.Generator, count: int, size_px: int
) -> np.ndarray:
    """Draw one of motion blur, Gaussian blur, median and noise.

    Returns:
        `(count, 29)`: the 25 weights of the kernel; 1 for the median; the standard deviation of
        noise in levels and its two seeds, whole numbers.
    """
    softening = params.softening
    u = rng.random((count, 6))
    chosen = choose(u, softening.probability, softening.kinds)
    strength = 0.5 + 0.5 * u[:, 2]
    kernels = np.tile(IDENTITY, (count, 1))
    if "motion_px" in softening.kinds:
        length_px = np.maximum(1, softening.motion_px * strength)
        kernels = np.where(
            chosen == "motion_px", motion_kernels(length_px, np.pi * u[:, 3]), kernels
        )
    if "gaussian_px" in softening.kinds:
        blurred = gaussian_kernels(softening.gaussian_px * strength)
        kernels = np.where(chosen == "gaussian_px", blurred, kernels)
    noise = (chosen == "noise") * 255 * softening.noise * strength[:, None]
    seeds = np.floor(u[:, 4:6] * SEED_LIMIT)
    return np.concatenate([kernels, chosen == "median", noise, seeds], axis=1)


def draw_clahe(
    params: AugmentParams, rng: np.random.Generator, count: int, size_px: int
) -> np.ndarray:
    """Draw the clip limit, in counts of an even histogram; 0 leaves an image alone."""
    u = rng.random((count, 2))
    limit = 1 + (params.clahe.clip_limit - 1) * u[:, 1:]
    return (u[:, :1] < params.clahe.probability) * limit


def draw_hue_saturation_value(
    params: AugmentParams, rng: np.random.Generator, count: int, size_px: int
) -> np.ndarray:
    """Draw the shifts of hue in turns, and of saturation and value as shares of full range."""
    shifts = params.hue_saturation_value
    u = rng.random((count, 4))
    largest = [shifts.hue_degrees / 360, shifts.saturation, shifts.value]
    return (u[:, :1] < shifts.probability) * (2 * u[:, 1:] - 1) * largest
