"""From an image file to the arrays that the members take: the one way, for training and for CAD.

Stages `crop` and `resize` do the two halves with the crops stored between them; `preprocess` does
both at once for a new image. The results are equal bit for bit, as crops are stored without loss.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.images.crop import CROP_RESAMPLE, Box, CropParams, crop_to_square, find_box
from pipeline.images.decode import Decoded, DecodeParams, decode
from pipeline.images.resize import resize_to_square

PREPROCESSING_VERSION = 3  # raised when the same file would give other pixels


@dataclass(frozen=True, eq=False)
class Cropped:
    """Crops of one image.

    Attributes:
        crops: RGB, `(crop_px, crop_px, 3)` uint8, by `crop_px`.
        box: What was kept.
        width_px: Width of the original after EXIF orientation.
        height_px: Height of the original after EXIF orientation.
        decoder: As in `Decoded`.
    """

    crops: dict[int, np.ndarray]
    box: Box
    width_px: int
    height_px: int
    decoder: str


@dataclass(frozen=True, eq=False)
class Preprocessed:
    """What the members take of one image.

    Attributes:
        arrays: RGB, `(input_px, input_px, 3)` uint8, by `(crop_px, input_px)`.
        smallest_crop: RGB, `(crop_px, crop_px, 3)` uint8, what the input gate looks at.
        box: What was kept.
        width_px: Width of the original after EXIF orientation.
        height_px: Height of the original after EXIF orientation.
    """

    arrays: dict[tuple[int, int], np.ndarray]
    smallest_crop: np.ndarray
    box: Box
    width_px: int
    height_px: int


def cut_crops(
    file: Path | bytes, *, decode_params: DecodeParams, crop_params: CropParams
) -> Cropped:
    """Decode a file once, find its box, and cut the crops of all sizes from the same pixels.

    Raises:
        ImageError: The file cannot be decoded.
    """
    decoded = decode(file, params=decode_params, least_side_px=crop_params.least_side_px)
    box = find_box(decoded, crop_params.border, crop_params.squaring)
    if decoded.shrink > 1 and box.side_px / decoded.shrink < max(crop_params.sizes_px):
        decoded = _decode_finer(file, decoded, box, decode_params, crop_params)
    crops = _cut_sizes(decoded, box, crop_params)
    return Cropped(crops, box, decoded.width_px, decoded.height_px, decoded.decoder)


def preprocess(
    file: Path | bytes,
    *,
    decode_params: DecodeParams,
    crop_params: CropParams,
    resample: str,
    inputs: Iterable[tuple[int, int]],
) -> Preprocessed:
    """Make the arrays of one new image.

    Args:
        file: Path of a JPEG or PNG file, or its bytes.
        decode_params: Limits of the file.
        crop_params: As in training; all its sizes count, also those that `inputs` do not name.
        resample: Key of `resize.RESAMPLERS`, as in training.
        inputs: Pairs of `crop_px`, one of `crop_params.sizes_px`, and `input_px`.

    Raises:
        ImageError: The file cannot be decoded.
        ValueError: A crop size is not one of `crop_params.sizes_px`.
    """
    pairs = list(inputs)
    unknown = sorted({crop_px for crop_px, _ in pairs} - set(crop_params.sizes_px))
    if unknown:
        raise ValueError(f"crop_px must be one of {list(crop_params.sizes_px)}. Got: {unknown}.")
    cropped = cut_crops(file, decode_params=decode_params, crop_params=crop_params)
    arrays = {
        (crop_px, input_px): resize_to_square(cropped.crops[crop_px], input_px, resample=resample)
        for crop_px, input_px in pairs
    }
    smallest = cropped.crops[min(crop_params.sizes_px)]
    return Preprocessed(arrays, smallest, cropped.box, cropped.width_px, cropped.height_px)


def _cut_sizes(decoded: Decoded, box: Box, params: CropParams) -> dict[int, np.ndarray]:
    """Cut the largest crop, and the others out of it unless it had to be enlarged.

    A crop holds fewer pixels than the box, so this takes two thirds of the time.
    """
    largest, *others = sorted(params.sizes_px, reverse=True)
    crops = {largest: crop_to_square(decoded, box, largest, params.squaring)}
    for size_px in others:
        if box.side_px / decoded.shrink >= largest:
            crops[size_px] = resize_to_square(crops[largest], size_px, resample=CROP_RESAMPLE)
        else:
            crops[size_px] = crop_to_square(decoded, box, size_px, params.squaring)
    return crops


def _decode_finer(
    file: Path | bytes,
    decoded: Decoded,
    box: Box,
    decode_params: DecodeParams,
    crop_params: CropParams,
) -> Decoded:
    """Decode again where the field is a small part of the image, so that the crop stays sharp."""
    share = box.side_px / min(decoded.width_px, decoded.height_px)
    least_side_px = int(crop_params.least_side_px / share)
    return decode(file, params=decode_params, least_side_px=least_side_px)
