"""Seeded synthetic dermoscopy: one image of a lesion of a named class.

What the camera and the skin do (tone, lighting, position, size, rotation, hairs, surround) is drawn
from the seed and the view alone and never depends on the class. Of the lesion's mean colour only
half of the hue does: its class lies in border and structure (`pipeline.images.lesions`).
The images train and check the machinery; they teach nothing about skin.
"""

import numpy as np
from PIL import Image

from pipeline.images.artefacts import add_artefacts, darken_surround
from pipeline.images.lesions import DRAW
from pipeline.images.structures import Drawing, Lesion, Pose

# Shorter side of the grid on which fields are computed; only grain and artefacts have full size.
GRID_PX = 240

# A dark circular surround, and how much smaller the lesion lies in its field than in a full image.
SURROUND_SHARE = 0.2
SURROUND_ZOOM = 0.82

# Skin under a dermatoscope, Fitzpatrick I to VI, RGB 0-255.
SKIN_TONES = (
    (234, 200, 186),
    (224, 180, 160),
    (206, 158, 132),
    (178, 130, 102),
    (144, 102, 78),
    (112, 80, 62),
)


def render(
    label: str, seed: int, height_px: int, width_px: int, *, view: int, skin_type: int
) -> np.ndarray:
    """Render one image.

    Args:
        label: One of `CLASSES`.
        seed: Makes the lesion; the same lesion looks alike in all its views.
        height_px: Height of the image.
        width_px: Width of the image.
        view: Which photograph of the lesion; makes pose, lighting and artefacts.
        skin_type: Fitzpatrick's, 1 to 6.

    Returns:
        RGB pixels, `(height_px, width_px, 3)` uint8.

    Raises:
        ValueError: Class or skin type is not one that can be drawn.
    """
    if label not in DRAW:
        raise ValueError(f"label must be one of {list(DRAW)}. Got: {label!r}.")
    if not 1 <= skin_type <= len(SKIN_TONES):
        raise ValueError(f"skin_type must be from 1 to {len(SKIN_TONES)}. Got: {skin_type}.")
    of_lesion, of_view = np.random.default_rng([seed]), np.random.default_rng([seed, 1 + view])
    scale = GRID_PX / min(height_px, width_px)
    grid = (round(height_px * scale), round(width_px * scale))
    has_surround = of_view.random() < SURROUND_SHARE
    tone = np.array(SKIN_TONES[skin_type - 1], np.float32) + of_lesion.normal(0, 6, 3)
    pose = choose_pose(grid, SURROUND_ZOOM if has_surround else 1.0, of_lesion, of_view)
    coarse = draw_scene(label, pose, tone, of_lesion, of_view)
    # Bicubic enlargement of the scene; grain and artefacts follow at full size.
    image = Image.fromarray(coarse).resize((width_px, height_px), Image.Resampling.BICUBIC)
    image = add_grain(image, of_view)
    add_artefacts(image, of_view)
    return np.asarray(darken_surround(image, of_view) if has_surround else image)


def choose_pose(
    grid: tuple[int, int],
    zoom: float,
    of_lesion: np.random.Generator,
    of_view: np.random.Generator,
) -> Pose:
    """Place a lesion near the middle of the working grid, turned at will."""
    return Pose(
        height=grid[0],
        width=grid[1],
        centre_px=tuple(np.array(grid) / 2 + GRID_PX * of_view.uniform(-0.05, 0.05, 2)),
        radius_px=zoom * GRID_PX * of_lesion.uniform(0.34, 0.40) * of_view.uniform(0.95, 1.05),
        angle=of_view.uniform(0, 2 * np.pi),
        stretch=of_lesion.uniform(1.0, 1.14),
    )


def draw_scene(
    label: str,
    pose: Pose,
    tone: np.ndarray,
    of_lesion: np.random.Generator,
    of_view: np.random.Generator,
) -> np.ndarray:
    """Draw lesion, skin and light on the working grid, `(height, width, 3)` uint8."""
    grid = (pose.height, pose.width)
    mask, pattern = roughen(DRAW[label](Lesion(pose), of_lesion), of_view)
    colour = lesion_colour(tone, mask, pattern, of_lesion)
    skin = tone * (1 + 0.045 * texture(grid, of_view)[..., None])
    alpha = (0.94 * mask)[..., None]
    scene = (skin + alpha * (colour - skin)) * lighting(grid, of_view)
    return np.clip(scene, 0, 255).astype(np.uint8)


def roughen(drawing: Drawing, rng: np.random.Generator) -> Drawing:
    """Shift a drawing's pixels by a smooth random field, so that no edge is ruled or round."""
    mask, pattern = drawing
    rows, columns = np.indices(mask.shape)
    moved = [
        np.clip(axis + (1.6 * smooth_field(mask.shape, 12, rng)).astype(int), 0, limit - 1)
        for axis, limit in zip((rows, columns), mask.shape, strict=True)
    ]
    tone = 0.85 + 0.22 * smooth_field(mask.shape, 10, rng)
    return mask[*moved], pattern[*moved] * tone[..., None]


def lesion_colour(
    tone: np.ndarray, mask: np.ndarray, pattern: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Colour a lesion: a brown or pink of the skin's own, varied by the pattern about its mean."""
    browning = rng.uniform(0, 1) * np.array([0.02, 0.10, 0.20])
    base = tone * (rng.uniform(0.60, 0.84) - browning) + 10 + rng.normal(0, (5, 2, 4))
    base = np.clip(base, 45, 215)  # dark skin leaves room for dark structures
    mean = (mask[..., None] * pattern).sum((0, 1)) / mask.sum()
    # All of the mean's lightness is taken out, and half of its hue: the rest keeps red lesions
    # from standing on green ground.
    mean = mean.mean() + 0.5 * (mean - mean.mean())
    return (base + rng.uniform(0.85, 1.1) * (pattern - mean)).astype(np.float32)


def texture(grid: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return skin's unevenness at three scales, `(height, width)` float32 of about unit size."""
    return sum(
        weight * smooth_field(grid, cell, rng) for cell, weight in ((60, 0.8), (20, 0.5), (6, 0.6))
    )


def smooth_field(grid: tuple[int, int], cell_px: int, rng: np.random.Generator) -> np.ndarray:
    """Return slow random variation of about unit size, `(height, width)` float32."""
    few = rng.normal(0, 1, (grid[0] // cell_px + 2, grid[1] // cell_px + 2)).astype(np.float32)
    return np.asarray(Image.fromarray(few).resize(grid[::-1], Image.Resampling.BICUBIC))


def lighting(grid: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return the light's gain per pixel and channel: gradient, vignette, white balance."""
    rows = np.linspace(-1, 1, grid[0], dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, grid[1], dtype=np.float32)[None, :]
    slope = rng.normal(0, 0.06, 2).astype(np.float32)
    vignette = np.float32(rng.uniform(0.0, 0.12))
    gain = 1 + slope[0] * rows + slope[1] * columns - vignette * (rows**2 + columns**2)
    balance = (rng.uniform(0.88, 1.08) * (1 + rng.normal(0, 0.03, 3))).astype(np.float32)
    return gain[..., None] * balance


def add_grain(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Add fine grey noise, of the camera and the skin's texture; its strength varies widely."""
    strength = rng.uniform(2, 7)
    noise = rng.standard_normal(image.size[::-1], np.float32) * np.float32(strength)
    pixels = np.asarray(image, np.int16) + noise.astype(np.int16)[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
