"""Pictures that are no dermoscopy, drawn from a seed: what the input gate is measured against.

`DESIGNED_ON` are the kinds that were looked at while the descriptors were chosen, `KEPT_ASIDE`
those that were not: only the latter tell how the gate fares on what nobody thought of. A drawing
takes a generator and returns RGB, `(height, width, 3)` uint8.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

HEIGHT, WIDTH = 480, 640
WORDS = ("patient", "name", "date", "referred", "dose", "left", "report", "total", "remarks")

Drawing = Callable[[np.random.Generator], np.ndarray]


def uniform(rng: np.random.Generator) -> np.ndarray:
    """One colour."""
    return np.broadcast_to(rng.integers(0, 256, 3, np.uint8), (HEIGHT, WIDTH, 3)).copy()


def gradient(rng: np.random.Generator) -> np.ndarray:
    """One colour fading into another, in any direction."""
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    turn = rng.uniform(0, 2 * np.pi)
    share = np.clip((x * np.cos(turn) + y * np.sin(turn)) / 2 + 0.5, 0, 1)[..., None]
    ends = rng.integers(0, 256, (2, 3))
    return to_pixels(ends[0] + share * (ends[1] - ends[0]))


def noise(rng: np.random.Generator) -> np.ndarray:
    """Independent pixels, grey or coloured, around a mean."""
    shape = (HEIGHT, WIDTH, rng.choice([1, 3]))
    values = rng.normal(rng.uniform(60, 200), rng.uniform(15, 70), shape)
    return to_pixels(np.broadcast_to(values, (HEIGHT, WIDTH, 3)))


def text_page(rng: np.random.Generator) -> np.ndarray:
    """Lines of words on paper."""
    paper = tuple(rng.integers(225, 256, 3).tolist())
    image, size = Image.new("RGB", (WIDTH, HEIGHT), paper), int(rng.integers(10, 26))
    draw = ImageDraw.Draw(image)
    for top in range(int(rng.integers(5, 40)), HEIGHT - 2 * size, int(size * 1.5)):
        line = " ".join(rng.choice(WORDS, int(rng.integers(4, 16))))
        draw.text((rng.integers(8, 30), top), line, (20, 20, 25), font_size=size)
    return np.asarray(image)


def bar_chart(rng: np.random.Generator) -> np.ndarray:
    """Axes, bars and labels."""
    image = Image.new("RGB", (WIDTH, HEIGHT), (255, 255, 255))
    draw, colour = ImageDraw.Draw(image), tuple(rng.integers(0, 200, 3).tolist())
    bars = int(rng.integers(3, 12))
    for k, value in enumerate(rng.uniform(0.1, 1, bars)):
        left = 60 + k * 560 / bars
        draw.rectangle((left, 430 - 380 * value, left + 400 / bars, 430), colour)
        draw.text((left, 440), str(k), (0, 0, 0), font_size=14)
    draw.line([(50, 30), (50, 430), (620, 430)], (0, 0, 0), 2)
    return np.asarray(image)


def x_ray(rng: np.random.Generator) -> np.ndarray:
    """Grey, bright bands and ovals on black, blurred: like a plain radiograph."""
    image = Image.new("L", (WIDTH, HEIGHT), 8)
    draw = ImageDraw.Draw(image)
    body = int(rng.integers(70, 140))
    draw.ellipse((60, 10, WIDTH - 60, HEIGHT + 120), body)
    for side in (200, 440):
        draw.ellipse((side - 95, 90, side + 95, 430), body // 2)
    for top in range(60, HEIGHT, int(rng.integers(35, 55))):
        draw.arc((110, top, WIDTH - 110, top + 140), 190, 350, body + 40, 8)
    draw.rectangle((WIDTH // 2 - 22, 0, WIDTH // 2 + 22, HEIGHT), min(255, body + 80))
    grey = image.filter(ImageFilter.GaussianBlur(6)) + rng.normal(0, 5, (HEIGHT, WIDTH))
    return to_pixels(np.repeat(grey[..., None], 3, axis=2))


def checkerboard(rng: np.random.Generator) -> np.ndarray:
    """Two colours in squares."""
    side = int(rng.integers(4, 60))
    board = (np.indices((HEIGHT, WIDTH)) // side).sum(axis=0) % 2
    return rng.integers(0, 256, (2, 3), np.uint8)[board]


def screenshot(rng: np.random.Generator) -> np.ndarray:
    """A window: title bar, side bar, rows of text, buttons."""
    image = Image.new("RGB", (WIDTH, HEIGHT), tuple(rng.integers(20, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, WIDTH, 36), tuple(rng.integers(0, 200, 3).tolist()))
    draw.rectangle((0, 36, 150, HEIGHT), tuple(rng.integers(0, 256, 3).tolist()))
    ink = tuple(rng.integers(0, 256, 3).tolist())
    for top in range(50, HEIGHT - 20, 26):
        draw.text((12, top), str(rng.choice(WORDS)), ink, font_size=13)
        draw.text((165, top), " ".join(rng.choice(WORDS, 7)), ink, font_size=13)
    for left in (170, 300, 430):
        box = (left, HEIGHT - 60, left + 100, HEIGHT - 30)
        draw.rounded_rectangle(box, 6, tuple(rng.integers(0, 256, 3).tolist()))
    return np.asarray(image)


def line_chart(rng: np.random.Generator) -> np.ndarray:
    """Curves over a grid, light or dark, such as a monitor's trace."""
    dark = rng.random() < 0.5
    image = Image.new("RGB", (WIDTH, HEIGHT), (12, 14, 20) if dark else (255, 250, 245))
    draw, ruled = ImageDraw.Draw(image), (50, 60, 70) if dark else (240, 190, 180)
    for k in range(0, WIDTH, 20):
        draw.line([(k, 0), (k, HEIGHT)], ruled)
        draw.line([(0, k), (WIDTH, k)], ruled)
    for _ in range(rng.integers(1, 5)):
        curve = HEIGHT / 2 + np.cumsum(rng.normal(0, 12, WIDTH // 4))
        points = [(4 * k, float(value)) for k, value in enumerate(curve)]
        draw.line(points, tuple(rng.integers(60, 256, 3).tolist()), 2)
    return np.asarray(image)


def clouds(rng: np.random.Generator) -> np.ndarray:
    """Coloured texture with the spectrum of natural scenes, in colours of any kind."""
    layers = np.stack([spectral(rng, rng.uniform(1.5, 3)) for _ in range(3)], axis=2)
    mixed = layers @ rng.normal(0, 1, (3, 3))
    return to_pixels(rng.uniform(60, 200, 3) + rng.uniform(15, 40) * mixed)


def landscape(rng: np.random.Generator) -> np.ndarray:
    """Sky, hills and ground with the texture of natural scenes."""
    sky = rng.uniform((90, 150, 200), (170, 210, 255))
    scene = np.broadcast_to(sky, (HEIGHT, WIDTH, 3)) + 18 * spectral(rng, 2.5)[..., None]
    rows, columns = np.arange(HEIGHT)[:, None], np.arange(WIDTH)
    for share in (0.45, 0.6, 0.75):
        waves = rng.uniform(10, 40) * np.sin(columns / rng.uniform(40, 120) + rng.uniform(0, 6))
        below = (rows > share * HEIGHT + waves)[..., None]
        ground = rng.uniform((40, 70, 20), (140, 150, 90))
        scene = np.where(below, ground + 22 * spectral(rng, 1.6)[..., None], scene)
    return to_pixels(scene)


def collage(rng: np.random.Generator) -> np.ndarray:
    """Overlapping discs, boxes and polygons in many colours, on a textured ground."""
    image = Image.fromarray(to_pixels(rng.uniform(60, 220, 3) + 10 * spectral(rng, 2)[..., None]))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(8, 40)):
        x, y, size = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.uniform(20, 140)
        colour = tuple(rng.integers(0, 256, 3).tolist())
        if rng.random() < 0.4:
            draw.ellipse((x, y, x + size, y + size), colour)
        else:
            draw.regular_polygon((x, y, size / 2), int(rng.integers(3, 7)), 30, colour)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 2))))


def computed_tomogram(rng: np.random.Generator) -> np.ndarray:
    """A grey oval with organs and a ring of bone, on black."""
    image = Image.new("L", (HEIGHT, HEIGHT), 0)
    draw, middle = ImageDraw.Draw(image), HEIGHT / 2
    draw.ellipse((30, 80, 450, 400), 105, 210, int(rng.integers(3, 14)))
    for _ in range(rng.integers(4, 10)):
        x, y = middle + rng.normal(0, 80), middle + rng.normal(0, 50)
        w, h = rng.uniform(20, 80, 2)
        draw.ellipse((x - w, y - h, x + w, y + h), int(rng.integers(60, 170)))
    grey = np.asarray(image.filter(ImageFilter.GaussianBlur(1.5)), np.float64)
    grey = grey + rng.normal(0, 8, grey.shape) * (grey > 10)
    return to_pixels(np.repeat(grey[..., None], 3, axis=2))


def ultrasound(rng: np.random.Generator) -> np.ndarray:
    """Speckle in a fan, on black, with letters beside it."""
    speckle = np.abs(spectral(rng, 0.8)) * rng.uniform(40, 90) * (1 + 0.5 * spectral(rng, 2.5))
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    angle, depth = np.arctan2(x - WIDTH / 2, y + 60), np.hypot(x - WIDTH / 2, y + 60)
    inside = (np.abs(angle) < 0.6) & (depth > 90) & (depth < 500)
    image = Image.fromarray(to_pixels((speckle * inside)[..., None] * np.ones(3)))
    ImageDraw.Draw(image).text((8, 8), " ".join(rng.choice(WORDS, 3)), (230, 230, 90), font_size=14)
    return np.asarray(image)


def fabric(rng: np.random.Generator) -> np.ndarray:
    """Crossing threads in one or two colours."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    pitch = rng.uniform(4, 16, 2)
    weave = np.sin(2 * np.pi * x / pitch[0]) * np.sin(2 * np.pi * y / pitch[1])
    stripes = np.sin(2 * np.pi * x / rng.uniform(40, 120)) > 0
    colours = rng.uniform(30, 220, (2, 3))
    threads = 25 * weave[..., None] + 8 * spectral(rng, 1.5)[..., None]
    return to_pixels(colours[stripes.astype(int)] + threads)


def wood(rng: np.random.Generator) -> np.ndarray:
    """Grain of a brown board: skin-like colours without a lesion."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    bent = y + 25 * spectral(rng, 3) + 0.002 * (x - WIDTH / 2) ** 2 * rng.normal()
    grain = np.sin(2 * np.pi * bent / rng.uniform(12, 40)) + 0.6 * spectral(rng, 1.5)
    return to_pixels(rng.uniform((120, 75, 35), (200, 150, 110)) + 22 * grain[..., None])


def barcode(rng: np.random.Generator) -> np.ndarray:
    """Black and white bars on a coloured label."""
    label = np.full((HEIGHT, WIDTH, 3), rng.integers(120, 256, 3))
    bars = np.repeat(rng.integers(0, 2, 100) * 255, int(rng.integers(3, 6)))[: WIDTH - 100]
    label[100:-100, 50 : 50 + len(bars)] = bars[:, None]
    return to_pixels(label + rng.normal(0, 3, label.shape))


def balls(rng: np.random.Generator) -> np.ndarray:
    """Shaded balls before a plain wall: round, smooth, one in the middle."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    scene = rng.uniform(60, 240, 3) + 0.06 * (y[..., None] - HEIGHT / 2)
    for k in range(rng.integers(1, 6)):
        middle = (HEIGHT / 2, WIDTH / 2) if k == 0 else rng.uniform(0, (HEIGHT, WIDTH))
        part = np.hypot(y - middle[0], x - middle[1]) / rng.uniform(60, 160)
        shade = np.sqrt(np.clip(1 - part**2, 0, 1)) * (1 - 0.4 * (y - middle[0] > 0) * part)
        scene = np.where((part < 1)[..., None], rng.uniform(20, 255, 3) * shade[..., None], scene)
    return to_pixels(scene + rng.normal(0, 2, scene.shape))


def spectral(rng: np.random.Generator, slope: float) -> np.ndarray:
    """Return a random field whose power falls with that power of frequency; unit spread."""
    frequency = np.hypot(np.fft.fftfreq(HEIGHT)[:, None], np.fft.rfftfreq(WIDTH))
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((HEIGHT, WIDTH))) * frequency ** (-slope / 2)
    field = np.fft.irfft2(spectrum, (HEIGHT, WIDTH))
    return field / field.std()


def to_pixels(values: np.ndarray) -> np.ndarray:
    """Clip to levels."""
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


DESIGNED_ON: dict[str, Drawing] = {
    "uniform": uniform,
    "gradient": gradient,
    "noise": noise,
    "text page": text_page,
    "bar chart": bar_chart,
    "x-ray": x_ray,
}
KEPT_ASIDE: dict[str, Drawing] = {
    "checkerboard": checkerboard,
    "screenshot": screenshot,
    "line chart": line_chart,
    "clouds": clouds,
    "landscape": landscape,
    "collage": collage,
    "CT slice": computed_tomogram,
    "ultrasound": ultrasound,
    "fabric": fabric,
    "wood": wood,
    "barcode": barcode,
    "balls": balls,
}
