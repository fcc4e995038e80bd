"""Copies of real images by which archives come to hold an image twice, and their hashes."""

import hashlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from pipeline.images.copies import encode_jpeg
from pipeline.images.decode import DecodeParams, decode
from pipeline.images.hashing import perceptual_hashes


def resized(image: Image.Image, scale: float) -> Image.Image:
    """Resize both sides by a factor."""
    return image.resize((round(image.width * scale), round(image.height * scale)))


def tinted(image: Image.Image) -> Image.Image:
    """Shift the colours as another camera's white balance does."""
    return Image.fromarray(
        (np.asarray(image) * [1.1, 1.0, 0.9]).clip(0, 255).round().astype(np.uint8)
    )


def cropped(image: Image.Image, share: float) -> Image.Image:
    """Keep the middle share of each side."""
    margin_x, margin_y = image.width * (1 - share) / 2, image.height * (1 - share) / 2
    return image.crop((margin_x, margin_y, image.width - margin_x, image.height - margin_y))


Turn = Image.Transpose
# From the original to the copy's pixels and JPEG quality.
Change = Callable[[Image.Image], tuple[Image.Image, int]]
COPIES: dict[str, Change] = {
    "saved again at quality 60": lambda image: (image, 60),
    "saved again at quality 75": lambda image: (image, 75),
    "saved again at quality 90": lambda image: (image, 90),
    "halved": lambda image: (image.reduce(2), 90),
    "resized to 0.7": lambda image: (resized(image, 0.7), 90),
    "resized to 1.3": lambda image: (resized(image, 1.3), 90),
    "squeezed into a square of 512": lambda image: (image.resize((512, 512)), 90),
    "mirrored": lambda image: (image.transpose(Turn.FLIP_LEFT_RIGHT), 90),
    "turned by 90": lambda image: (image.transpose(Turn.ROTATE_90), 90),
    "turned by 180": lambda image: (image.transpose(Turn.ROTATE_180), 90),
    "transposed": lambda image: (image.transpose(Turn.TRANSPOSE), 90),
    "halved, turned by 270, quality 60": lambda image: (
        image.reduce(2).transpose(Turn.ROTATE_270),
        60,
    ),
}
BEYOND: dict[str, Change] = {
    "brightness by 1.2": lambda image: (ImageEnhance.Brightness(image).enhance(1.2), 90),
    "red by 1.1, blue by 0.9": lambda image: (tinted(image), 90),
    "middle 95 % of each side": lambda image: (cropped(image, 0.95), 90),
    "turned by 5 degrees": lambda image: (image.rotate(5, Image.Resampling.BICUBIC), 90),
}


def hash_file(path: Path, *, settings: DecodeParams) -> tuple[str, str]:
    """Return the sha256 and the perceptual hashes of a file."""
    return hash_bytes(path.read_bytes(), settings)


def hash_bytes(data: bytes, settings: DecodeParams) -> tuple[str, str]:
    """Return the sha256 and the perceptual hashes of a file's bytes."""
    pixels = decode(data, params=settings, least_side_px=None).pixels
    return hashlib.sha256(data).hexdigest(), perceptual_hashes(pixels)


def hash_copies(path: Path, *, settings: DecodeParams) -> dict[str, tuple[str, str]]:
    """Make every kind of copy of a file and hash it."""
    data = path.read_bytes()
    with Image.open(BytesIO(data)) as opened:
        image = opened.convert("RGB")
    made = {"exact": hash_bytes(data, settings)}
    for kind, change in (COPIES | BEYOND).items():
        changed, quality = change(image)
        made[kind] = hash_bytes(encode_jpeg(np.asarray(changed), quality), settings)
    return made
