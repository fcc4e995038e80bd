"""Bring a part of an image, or all of it, to a size that a network or an analysis needs.

This is the only resize in the project: training reads its output and the CAD side calls it too.
Three resizes that drift apart is the classic export bug:
https://github.com/roboflow/rf-detr/issues/1203

Boxes are `(left, top, right, bottom)` in pixels of the array that is given; they may be fractions,
0 is the left or top edge of the first pixel.
"""

from dataclasses import dataclass

import numpy as np
from cykooz_resizer import (
    CropBox,
    FilterType,
    ImageData,
    PixelType,
    ResizeAlg,
    ResizeOptions,
    Resizer,
)

# Kernels widen when shrinking (antialiasing), as Pillow's do; OpenCV's and `tf.image.resize`'s do
# not. The cubic is Catmull and Rom's, Pillow's "bicubic".
RESAMPLERS = {
    "bilinear": FilterType.bilinear,
    "bicubic": FilterType.catmull_rom,
    "lanczos": FilterType.lanczos3,
}
Region = tuple[float, float, float, float]
NUDGE_PX = 1e-6


@dataclass(frozen=True)
class ResizeParams:
    """Section `resize` of `params.yaml`."""

    resample: str
    shard_images: int

    def __post_init__(self) -> None:
        if self.resample not in RESAMPLERS:
            raise ValueError(
                f"resample must be one of {sorted(RESAMPLERS)}. Got: {self.resample!r}."
            )
        if self.shard_images < 1:
            raise ValueError(f"shard_images must be at least 1. Got: {self.shard_images}.")


def resize_to_square(image: np.ndarray, size_px: int, *, resample: str) -> np.ndarray:
    """Bring an image to `size_px` by `size_px` pixels, averaging when it shrinks.

    Args:
        image: RGB, `(height, width, 3)` uint8; stretched if it is not square.
        size_px: Side of the result.
        resample: Key of `RESAMPLERS`.

    Returns:
        RGB, `(size_px, size_px, 3)` uint8; `image` itself, copied, if it has that size.
    """
    return resize_box(image, None, (size_px, size_px), resample=resample)


def resize_box(
    image: np.ndarray, box: Region | None, size: tuple[int, int], *, resample: str
) -> np.ndarray:
    """Cut a box out of an image and bring it to a size in one step.

    Args:
        image: RGB, `(height, width, 3)` uint8.
        box: The part to take, inside the image; `None` takes all.
        size: `(height, width)` of the result in pixels.
        resample: Key of `RESAMPLERS`.

    Returns:
        RGB, `(*size, 3)` uint8, read-only; the same bytes whatever vector code the processor
        has, as sums are whole numbers.

    Raises:
        ValueError: `image` is not three-channel uint8, or the box leaves it or is empty.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"image must be (height, width, 3) uint8. Got: {image.shape} {image.dtype}."
        )
    height, width = image.shape[:2]
    left, top, right, bottom = box or (0, 0, width, height)
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise ValueError(
            f"box must lie inside the image of {width} x {height} px and not be empty. "
            f"Got: {(left, top, right, bottom)}."
        )
    target = ImageData(size[1], size[0], PixelType.U8x3)
    # A resizer belongs to one thread, and costs nothing to make.
    Resizer().resize(
        ImageData(width, height, PixelType.U8x3, image.tobytes()),
        target,
        ResizeOptions(
            ResizeAlg.convolution(RESAMPLERS[resample]),
            crop_box=CropBox(
                _off_centre(left, right - left, size[1]), top, right - left, bottom - top
            ),
        ),
    )
    return np.frombuffer(target.get_buffer(), np.uint8).reshape(*size, 3)


def _off_centre(left: float, width: float, columns: int) -> float:
    """Move the left edge by a millionth of a pixel where the resizer would crash the process.

    cykooz-resizer 4.0.1 reads outside its memory where it enlarges, the edge is a fraction, and the
    first column falls exactly on the centre of a pixel: the other weights of the cubic are 0 there.
    """
    first = left + 0.5 * width / columns - 0.5
    if width >= columns or left == round(left) or abs(first - round(first)) >= NUDGE_PX:
        return left
    return max(left - NUDGE_PX, 0.0)
