"""How each of the nine classes of synthetic lesions is drawn: a table from class to function.

The features are those of dermoscopy, drawn bold: https://dermoscopedia.org. See
`pipeline.images.structures` for units and for what a drawing is.
"""

from collections.abc import Callable

import numpy as np

from pipeline.images.structures import (
    BLACK,
    BLUE_WHITE,
    BROWN,
    DARK,
    LIGHT,
    PINK,
    PURPLE,
    RED,
    YELLOW,
    Drawing,
    Lesion,
    fade,
    outline,
    paint,
    scatter,
)


def melanoma(lesion: Lesion, rng: np.random.Generator) -> Drawing:
    """Irregular border with uneven streaks, dark blotches, an eccentric blue-white veil."""
    edge = outline(rng, {1: 0.10, 2: 0.10, 3: 0.11, 5: 0.08, 9: 0.05})
    side = rng.uniform(0, 2 * np.pi)
    towards = np.array([np.cos(side), np.sin(side)])
    uneven = 14 * lesion.theta + 1.3 * np.sin(2 * lesion.theta + np.float32(side))
    rays = fade(0.3 + 1.6 * np.cos(uneven)) * fade((lesion.rho - 0.45) / 0.25)
    rays *= fade(0.9 - np.cos(lesion.theta - np.float32(side)))
    veil = fade(1.5 - 2.6 * np.hypot(lesion.p - 0.35 * towards[0], lesion.q - 0.35 * towards[1]))
    spots = scatter(rng, 6, reach=0.62, apart=0.34) - 0.25 * towards
    blotches = lesion.discs(spots, rng.uniform(0.12, 0.24, len(spots)))
    return lesion.inside(edge, 0.10), paint((rays, BLACK), (blotches, BLACK), (veil, BLUE_WHITE))


def nevus(lesion: Lesion, rng: np.random.Generator) -> Drawing:
    """Smooth oval border, a regular pigment network over the whole lesion."""
    mask = lesion.inside(outline(rng, {2: 0.05, 3: 0.03}), 0.16)
    lines = fade(1.6 - 3.6 * lesion.lattice(rng, rng.uniform(0.50, 0.58)))
    return mask, paint((lines, BROWN))


def basal_cell_carcinoma(lesion: Lesion, rng: np.random.Generator) -> Drawing:
    """Translucent, arborising vessels: thick trunks that branch, on a lightly lobed nodule."""
    paths: list[tuple[np.ndarray, float]] = []
    start = rng.uniform(0, 2 * np.pi)
    for k in range(3):
        angle = start + k * 2 * np.pi / 3 + rng.uniform(-0.3, 0.3)
        point = 1.05 * np.array([np.cos(angle), np.sin(angle)])
        grow_vessel(paths, rng, point, angle + np.pi + rng.uniform(-0.35, 0.35), 0.19)
    mask = lesion.inside(outline(rng, {2: 0.06, 4: 0.06}), 0.30)
    return mask, paint((lesion.lines(paths), RED), (0.3 * lesion.lines(paths), BLACK))


def grow_vessel(
    paths: list[tuple[np.ndarray, float]],
    rng: np.random.Generator,
    point: np.ndarray,
    angle: float,
    width: float,
) -> None:
    """Add a vessel that bends as it goes, and forks until it is thin."""
    path = [point]
    for _ in range(4):
        angle += rng.uniform(-0.4, 0.4)
        path.append(path[-1] + 0.16 * np.array([np.cos(angle), np.sin(angle)]))
    paths.append((np.array(path), width))
    if width > 0.10:
        for turn in (-0.65, 0.65):
            grow_vessel(paths, rng, path[-1], angle + turn + rng.uniform(-0.2, 0.2), 0.68 * width)


def actinic_keratosis(lesion: Lesion, rng: np.random.Generator) -> Drawing:
    """No border: white follicles in a grid on red (strawberry pattern), each with a dark plug."""
    mask = lesion.inside(outline(rng, {2: 0.05, 3: 0.05}), 0.75)
    cells = lesion.lattice(rng, rng.uniform(0.58, 0.66))
    return mask, paint(
        (np.full_like(cells, 0.7), RED),
        (fade(3.0 * cells - 1.3), LIGHT),
        (fade(8 * cells - 6.7), DARK),
    )


def benign_keratosis(lesion: Lesion, rng: np.random.Generator) -> Drawing:
    """Sharp, lobed, stuck-on border; yellowish milia-like and dark comedo-like discs."""
    lobes = int(rng.integers(7, 10))
    edge = outline(rng, {2: 0.06, lobes: 0.10})
    points = scatter(rng, 13, reach=0.84, apart=0.38)
    radii = rng.uniform(0.14, 0.18, len(points))
    dark = np.arange(len(points)) % 3 == 0
    return lesion.inside(edge, 0.03), paint(
        (lesion.discs(points[~dark], radii[~dark]), YELLOW),
        (lesion.discs(points[dark], radii[dark]), BLACK),
    )


def dermatofibroma(lesion: Lesion, rng: np.random.Generator) -> Drawing:
    """Central white patch in a ring that fades outwards."""
    mask = lesion.inside(outline(rng, {2: 0.05, 3: 0.03}), 0.45)
    patch = lesion.inside(0.44 * outline(rng, {3: 0.10, 5: 0.06}), 0.16)
    ring = fade(1.35 - np.abs(lesion.rho - 0.70) / 0.24)
    ring *= 0.6 + 0.4 * fade(1.6 - 3.6 * lesion.lattice(rng, 0.4))
    return mask, paint((ring, BROWN), (patch, LIGHT))


def vascular(lesion: Lesion, rng: np.random.Generator) -> Drawing:
    """Sharp border; large red and purple lacunae packed between pale septa."""
    edge = outline(rng, {2: 0.05, 5: 0.05})
    points = scatter(rng, 13, reach=0.80, apart=0.42)
    radii = rng.uniform(0.19, 0.25, len(points))
    purple = slice(0, None, 3)
    septa = np.full_like(lesion.rho, 0.8)
    return lesion.inside(edge, 0.05), paint(
        (septa, PINK),
        (lesion.discs(points, radii), RED),
        (0.8 * lesion.discs(points[purple], radii[purple]), PURPLE),
    )


def squamous_cell_carcinoma(lesion: Lesion, rng: np.random.Generator) -> Drawing:
    """Irregular border; a heap of white scale plates, hairpin vessels pointing at it."""
    edge = outline(rng, {1: 0.06, 3: 0.08, 4: 0.06})
    plates = []
    for centre in scatter(rng, 7, reach=0.42, apart=0.27):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 6))
        size = rng.uniform(0.18, 0.26, (6, 1))
        plates.append(centre + size * np.stack([np.cos(angles), np.sin(angles)], axis=1))
    hairpins, count, start = [], int(rng.integers(9, 12)), rng.uniform(0, 2 * np.pi)
    for k in range(count):
        angle = start + k * 2 * np.pi / count + rng.uniform(-0.1, 0.1)
        along = np.array([np.cos(angle), np.sin(angle)])
        hairpins.append((np.stack([along * 0.66, along * rng.uniform(0.95, 1.05)]), 0.15))
    return lesion.inside(edge, 0.22), paint(
        (lesion.lines(hairpins), RED),
        (lesion.polygons(plates), LIGHT),
    )


def structureless(lesion: Lesion, rng: np.random.Generator) -> Drawing:
    """Homogeneous: a soft, smooth border and nothing inside but a slow change of tone."""
    mask = lesion.inside(outline(rng, {2: 0.06, 3: 0.04}), 0.35)
    tone = 0.25 * fade(0.5 + 0.5 * lesion.p)
    return mask, paint((tone, DARK))


DRAW: dict[str, Callable[[Lesion, np.random.Generator], Drawing]] = {
    "MEL": melanoma,
    "NV": nevus,
    "BCC": basal_cell_carcinoma,
    "AK": actinic_keratosis,
    "BKL": benign_keratosis,
    "DF": dermatofibroma,
    "VASC": vascular,
    "SCC": squamous_cell_carcinoma,
    "UNK": structureless,
}
