"""Part `feed` of `make benchmark-data`: random batches for training at 380 px, against two peers.

All read the same crops of real originals in a shuffled order, from a warm page cache:

- this project: `ArrayShards.read` of uint8 arrays at the input size, one thread;
- PIL generator: a JPEG file per crop of 512 px, decoded, resized and scaled to 0-1, one thread;
- TFRecord: the same JPEG bytes in one record file, decoded and cut at random by tf.data.

The two peers also with JPEG already at the input size, which spares them the resize: no goal is
held against these rows.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from pipeline import params
from pipeline.images.crop import CropParams
from pipeline.images.decode import DecodeParams
from pipeline.images.preprocess import cut_crops
from pipeline.images.resize import resize_to_square
from pipeline.network.epoch import plan_epoch
from pipeline.shards.array_writer import write_array_shards
from pipeline.shards.arrays import ArrayShards
from tools.benchmark_decode import read_originals
from tools.benchmark_part import goal, in_fresh_process

CROP_PX, INPUT_PX = 512, 380
IMAGES = 1024
BATCH = 32
THREADS = 2  # of tf.data; the others have one
ROUNDS = 5
SEED = 20200601
JPEG_QUALITY = 95
OURS, PIL, TFRECORD = "this project", "PIL generator", "TFRecord JPEG"
GOALS = {PIL: 20.0, TFRECORD: 5.0}

Batches = Callable[[int], Iterator[np.ndarray]]  # of an epoch


def measure(data: Path) -> dict[str, Any]:
    """Measure the rate of every way on crops of the originals below a folder."""
    with tempfile.TemporaryDirectory(prefix="benchmark-data-") as folder:
        in_fresh_process(1, write_crops, data, Path(folder))
        rates = in_fresh_process(THREADS, measure_rates, Path(folder))
    rows = [
        {"way": way, "images_per_s": rate, "ours_is_times": rates[OURS] / rate}
        for way, rate in rates.items()
    ]
    goals = [
        goal(f"batches at {INPUT_PX} px, times {way}", rates[OURS] / rates[way], at_least=least)
        for way, least in GOALS.items()
    ]
    charts = [{"title": f"Random batches at {INPUT_PX} px", "unit": "images/s", "bars": rates}]
    return {"rows": rows, "goals": goals, "charts": charts}


def write_crops(data: Path, folder: Path) -> None:
    """Write the same crops as arrays, as JPEG files and as JPEG records, at both sizes."""
    import tensorflow as tf  # seconds to import; only two processes of this tool need it

    decode_params = params.load("ingest", DecodeParams)
    crop_params = params.load("crop", CropParams)
    originals = read_originals(data)
    crops = [
        cut_crops(one.data, decode_params=decode_params, crop_params=crop_params).crops[CROP_PX]
        for one in tqdm(originals, desc="feed: crops", unit="image")
    ]
    inputs = [resize_to_square(crop, INPUT_PX, resample="bicubic") for crop in crops]
    repeated = islice(cycle(inputs), IMAGES)
    write_array_shards(folder / "arrays", ((_name(n), a) for n, a in enumerate(repeated)), IMAGES)
    for size_px, arrays in ((CROP_PX, crops), (INPUT_PX, inputs)):
        encoded = [_encode(array) for array in arrays]
        (folder / str(size_px)).mkdir()
        with tf.io.TFRecordWriter(str(folder / f"{size_px}.tfrecord")) as writer:
            for number, jpeg in enumerate(islice(cycle(encoded), IMAGES)):
                (folder / str(size_px) / f"{_name(number)}.jpg").write_bytes(jpeg)
                writer.write(jpeg)


def measure_rates(folder: Path) -> dict[str, float]:
    """Return images a second of each way, by the clock, the median of interleaved rounds."""
    shards = ArrayShards(folder / "arrays")
    ways: dict[str, Batches] = {
        OURS: partial(read_arrays, shards),
        PIL: partial(read_files, folder / str(CROP_PX)),
        TFRECORD: partial(read_records, folder / f"{CROP_PX}.tfrecord", CROP_PX),
        f"{PIL}, {INPUT_PX} px files": partial(read_files, folder / str(INPUT_PX)),
        f"{TFRECORD}, {INPUT_PX} px": partial(
            read_records, folder / f"{INPUT_PX}.tfrecord", INPUT_PX
        ),
    }
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for epoch in tqdm(range(ROUNDS + 1), desc="feed", unit="round"):
        for way, batches in ways.items():
            start = time.perf_counter()
            count = sum(_check(batch) for batch in batches(epoch))
            rate = count / (time.perf_counter() - start)
            if epoch:  # the first reads the files into the page cache
                rates[way].append(rate)
    return {way: statistics.median(values) for way, values in rates.items()}


def batches(count: int, epoch: int) -> np.ndarray:
    """Order images as stage `train` does, `(steps, BATCH)` int."""
    labels = np.zeros(count, np.int32)
    return plan_epoch(labels, BATCH, sampling="natural", seed=SEED, epoch=epoch).rows


def read_arrays(shards: ArrayShards, epoch: int) -> Iterator[np.ndarray]:
    """Read batches as stage `train` does."""
    for rows in batches(len(shards), epoch):
        yield shards.read([shards.image_ids[row] for row in rows])


def read_files(folder: Path, epoch: int) -> Iterator[np.ndarray]:
    """Decode, resize and scale one JPEG file after another."""
    paths = sorted(folder.iterdir())
    for rows in batches(len(paths), epoch):
        images = []
        for row in rows:
            with Image.open(paths[row]) as image:
                small = image.resize((INPUT_PX, INPUT_PX), Image.Resampling.BILINEAR)
            images.append(np.asarray(small, np.float32) / 255)
        yield np.stack(images)


def read_records(path: Path, size_px: int, epoch: int) -> Iterator[np.ndarray]:
    """Decode shuffled records on two threads, each cut at random to the input size."""
    import tensorflow as tf

    def cut(jpeg: tf.Tensor) -> tf.Tensor:
        corner = tf.random.uniform([2], 0, size_px - INPUT_PX + 1, tf.int32)
        window = tf.concat([corner, [INPUT_PX, INPUT_PX]], 0)
        pixels = tf.io.decode_and_crop_jpeg(jpeg, window, channels=3)
        return tf.ensure_shape(pixels, (INPUT_PX, INPUT_PX, 3))

    options = tf.data.Options()
    options.threading.private_threadpool_size = THREADS
    options.deterministic = False
    data = tf.data.TFRecordDataset(str(path)).shuffle(256, seed=SEED + epoch)
    data = data.map(cut, tf.data.AUTOTUNE).batch(BATCH).prefetch(tf.data.AUTOTUNE)
    return data.with_options(options).as_numpy_iterator()


def _check(batch: np.ndarray) -> int:
    """Count the images of a batch, and see that they are what training takes."""
    if batch.shape[1:] != (INPUT_PX, INPUT_PX, 3):
        raise ValueError(f"batches must be of {INPUT_PX} px. Got: {batch.shape}.")
    return len(batch)


def _encode(pixels: np.ndarray) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=JPEG_QUALITY)
    return stream.getvalue()


def _name(number: int) -> str:
    return f"{number:05d}"
