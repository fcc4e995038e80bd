"""The images that the input gate is measured against, described as the pipeline describes them.

Genuine ones come from the folders of real data; degraded ones are made of those; drawings are those
of `tools.gate_pictures`; photographs are what comes with scikit-image, scikit-learn and Matplotlib.
"""

from collections.abc import Callable, Iterable, Sized
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from tqdm import tqdm

from pipeline.images.copies import encode_jpeg
from pipeline.images.crop import CropParams
from pipeline.images.decode import DecodeParams
from pipeline.images.gate.descriptors import describe
from pipeline.images.gate.limits import BLURRED, OVER_EXPOSED, UNDER_EXPOSED
from pipeline.images.preprocess import cut_crops
from tools.gate_pictures import DESIGNED_ON, KEPT_ASIDE, Drawing

SEED = 20200601
DEGRADED = 100
QUALITY = 90
PARTS = 8  # of each photograph
GENUINE, DEGRADING, DESIGNED, ASIDE = "genuine", "degraded", "designed on", "kept aside"
GAMMA = 2.2  # of levels to light, nearly
BLURS = (0.004, 0.008, 0.016, 0.032)  # of the shorter side
GAINS = (0.25, 0.1, 0.05, 2, 3, 5)  # of light

# Of packages that are installed here, by role; what is absent is left out.
PHOTOGRAPHS = {
    DESIGNED: {
        "skimage/data": "coffee.png chelsea.png rocket.jpg camera.png coins.png brick.png text.png "
        "motorcycle_left.png",
    },
    ASIDE: {
        "skimage/data": "astronaut.png retina.jpg ihc.png hubble_deep_field.jpg moon.png grass.png "
        "gravel.png page.png clock_motion.png cell.png microaneurysms.png horse.png color.png "
        "phantom.png logo.png",
        "sklearn/datasets/images": "china.jpg flower.jpg",
        "matplotlib/mpl-data/sample_data": "grace_hopper.jpg Minduka_Present_Blue_Pack.png "
        "logo2.png",
    },
}


@dataclass(frozen=True, eq=False)
class Described:
    """Images of one kind.

    Attributes:
        kind: What they are.
        role: `GENUINE`, `DEGRADING`, `DESIGNED` or `ASIDE`.
        descriptors: `(n, len(FEATURES))` float64.
        expected: Code of the reason that they must be given; empty where any will do.
    """

    kind: str
    role: str
    descriptors: np.ndarray
    expected: str = ""


@dataclass(frozen=True)
class Reader:
    """Sections of `params.yaml`, and what is done with them to a file."""

    decode: DecodeParams
    crop: CropParams

    def describe(self, file: Path | bytes) -> np.ndarray:
        """Describe a file by its smallest crop, as the pipeline does."""
        cropped = cut_crops(file, decode_params=self.decode, crop_params=self.crop)
        crop = cropped.crops[min(cropped.crops)]
        return describe(crop, width_px=cropped.width_px, height_px=cropped.height_px)

    def describe_all(self, images: Iterable[np.ndarray | Path], name: str) -> np.ndarray:
        """Describe files, and arrays by way of a JPEG."""
        total = len(images) if isinstance(images, Sized) else None
        files = (i if isinstance(i, Path) else encode_jpeg(i, QUALITY) for i in images)
        shown = tqdm(files, desc=name, unit="image", total=total, delay=2)
        return np.array([self.describe(file) for file in shown])


def degrade(paths: Iterable[Path], reader: Reader) -> list[Described]:
    """Blur, darken and brighten originals."""
    chosen = np.random.default_rng(SEED).permutation(np.array(list(paths)))[:DEGRADED]
    originals = [np.asarray(Image.open(path).convert("RGB")) for path in chosen]
    ways: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
        f"blur {share:.1%}": (BLURRED, partial(blur, share=share)) for share in BLURS
    }
    ways |= {
        f"light x {gain:g}": (
            UNDER_EXPOSED if gain < 1 else OVER_EXPOSED,
            partial(expose, gain=gain),
        )
        for gain in GAINS
    }
    return [
        Described(name, DEGRADING, reader.describe_all(map(change, originals), name), code)
        for name, (code, change) in ways.items()
    ]


def blur(pixels: np.ndarray, share: float) -> np.ndarray:
    """Blur by a Gaussian of a share of the shorter side."""
    radius = share * min(pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def expose(pixels: np.ndarray, gain: float) -> np.ndarray:
    """Give more or less light."""
    light = (pixels / 255) ** GAMMA * gain
    return (255 * np.clip(light, 0, 1) ** (1 / GAMMA)).round().astype(np.uint8)


def draw_pictures(drawn: int, reader: Reader) -> list[Described]:
    """Describe drawings of every kind."""

    def draw(drawing: Drawing) -> Iterable[np.ndarray]:
        return (drawing(np.random.default_rng([SEED, k])) for k in range(drawn))

    return [
        Described(kind, role, reader.describe_all(draw(drawing), kind))
        for role, kinds in ((DESIGNED, DESIGNED_ON), (ASIDE, KEPT_ASIDE))
        for kind, drawing in kinds.items()
    ]


def read_photographs(reader: Reader) -> list[Described]:
    """Describe photographs of installed packages, whole and in parts."""
    found = []
    for role, folders in PHOTOGRAPHS.items():
        whole = [read_opaque(path) for path in find_photographs(folders)]
        rng = np.random.default_rng(SEED)
        parts = [cut_part(image, rng) for image in whole for _ in range(PARTS)]
        for kind, images in (("photographs", whole), ("parts of photographs", parts)):
            if images:
                found.append(Described(kind, role, reader.describe_all(images, kind)))
    return found


def find_photographs(folders: dict[str, str]) -> Iterable[Path]:
    """Find the files that are there, without importing their packages."""
    for folder, names in folders.items():
        package, _, inner = folder.partition("/")
        spec = find_spec(package)
        if spec is not None and spec.submodule_search_locations:
            paths = (Path(spec.submodule_search_locations[0], inner, n) for n in names.split())
            yield from (path for path in paths if path.is_file())


def read_opaque(path: Path) -> np.ndarray:
    """Read an image as RGB, transparency on white."""
    with Image.open(path) as image:
        picture = image.convert("RGBA")
    ground = Image.new("RGBA", picture.size, "white")
    ground.alpha_composite(picture)
    return np.asarray(ground.convert("RGB"))


def cut_part(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut a square of 0.3 to 0.7 of the shorter side out of an image, 96 px at least."""
    least = min(image.shape[:2])
    side = min(least, max(96, int(rng.uniform(0.3, 0.7) * least)))
    top, left = (int(rng.integers(0, length - side + 1)) for length in image.shape[:2])
    return np.ascontiguousarray(image[top : top + side, left : left + side])
