"""Part `--gpu` of `make benchmark-training`: this project's JAX step beside timm's networks.

Random images that lie on the device, in bfloat16, each size in a process of its own: batches double
until one does not fit. timm runs eagerly and through `torch.compile`, its images channels last.
Nothing here imports TensorFlow, which that machine may lack.
"""

import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from pipeline.processes import environment_of_children
from tools.benchmark_training.case import LEARNING_RATE, SEED, make_case

BATCHES = {"b4": 8, "b5": 4, "b7": 4}  # the published ones
DROP_CONNECT = 0.2
LARGEST_BATCH = 1024
WARM_STEPS, STEPS = 5, 20
JAX, EAGER, COMPILED = "this project, JAX", "timm, eager", "timm, torch.compile"
ENVIRONMENT = {
    "KERAS_BACKEND": "jax",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # peak memory would be all there is
}

Timed = dict[str, float]  # images_per_s, step_ms, peak_mib
Step = Callable[[], None]  # one step, to its end on the device


class NotMeasuredError(ValueError):
    """Something that a row needs is absent; the message says what."""


def measure_on_gpu(members: list[str]) -> dict[str, Any]:
    """Measure members at the published batches and larger ones.

    Returns:
        `rows`, no `goals`, and `skipped`: reasons by way.
    """
    rows, skipped = [], {}
    for way, function in ((JAX, time_jax), (EAGER, time_eager), (COMPILED, time_compiled)):
        for name in members:
            batch = BATCHES[name]
            while batch <= LARGEST_BATCH and way not in skipped:
                timed = in_process(function, name, batch)
                if isinstance(timed, str):
                    print(f"{way}, {name} at batch {batch}: {timed}", flush=True)
                    if batch == BATCHES[name]:
                        skipped[way] = timed
                    break
                rows.append({"member": name, "batch": batch, "way": way, **timed})
                batch *= 2
    if not rows:
        raise NotMeasuredError(f"--gpu must find something to measure. Got: {skipped}.")
    return {"rows": compare(rows), "goals": [], "skipped": skipped}


def compare(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add how many times timm's eager rate at the same batch each row is."""
    eager = {(r["member"], r["batch"]): r["images_per_s"] for r in rows if r["way"] == EAGER}
    return [
        row | {"times_eager": row["images_per_s"] / peer if peer else None}
        for row in rows
        for peer in [eager.get((row["member"], row["batch"]))]
    ]


def in_process(function: Callable[[str, int], Timed], name: str, batch: int) -> Timed | str:
    """Call a function in a fresh process; return the reason where it could not measure."""
    context = multiprocessing.get_context("spawn")
    with environment_of_children(ENVIRONMENT), ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(function, name, batch).result()
        except NotMeasuredError as error:
            return str(error)
        except Exception as error:  # of any library: the row is left out, and says why
            lines = str(error).strip().splitlines()
            return f"{type(error).__name__}: {lines[0] if lines else 'no reason'}"


def time_jax(name: str, batch: int) -> Timed:
    """Time this project's step."""
    import jax

    if jax.default_backend() != "gpu":
        raise NotMeasuredError(f"JAX must see a GPU. Got: {jax.default_backend()}.")
    step = make_jax_step(name, batch, input_px=0)
    peak = jax.devices()[0].memory_stats
    return time_step(step, batch, lambda: peak()["peak_bytes_in_use"])


def make_jax_step(name: str, batch: int, *, input_px: int) -> Step:
    """Make a member and its step, and put one random batch on the device.

    Args:
        name: Of `training_case.MEMBERS`.
        batch: Images.
        input_px: Side; 0 for the member's own.
    """
    from dataclasses import replace

    import jax
    import keras
    import numpy as np

    from pipeline.demographics import DEMOGRAPHICS_WIDTH
    from pipeline.network.augmentation.draw import draw_augmentation
    from pipeline.network.batch import Batch
    from pipeline.network.distribution import ONE_DEVICE
    from pipeline.network.jax_compiled import JaxStep
    from pipeline.network.members import build_member
    from pipeline.network.optimizers import make_optimizer

    keras.utils.set_random_seed(SEED)
    case = make_case(name, input_px=input_px, batch=batch, steps=1, rounds=1, augments=False)
    drop_connect = DROP_CONNECT if name in BATCHES else 0.0
    member = replace(case.member, precision="bfloat16", drop_connect=drop_connect)
    model = build_member(member, training=True)
    variables = model.trainable_variables
    optimizer = make_optimizer(case.settings.optimizer, variables, accumulation_steps=1)
    step = JaxStep(model, variables, optimizer, case.settings, ONE_DEVICE)
    side, rng = member.input_px, np.random.default_rng(SEED)
    options = {"seed": SEED, "epoch": 0, "count": batch, "size_px": side, "repetition": 0}
    arrays = Batch(
        pixels=rng.integers(0, 256, (batch, side, side, 3), np.uint8),
        demographics=np.zeros((batch, DEMOGRAPHICS_WIDTH), np.float32),
        labels=np.arange(batch, dtype=np.int32) % 9,
        weights=np.ones(batch, np.float32),
        drawn=draw_augmentation(case.settings.augment, **options),
    )
    resident = Batch(**{key: jax.device_put(array) for key, array in vars(arrays).items()})
    step.begin()
    return lambda: step(resident, LEARNING_RATE).loss.block_until_ready()


def time_eager(name: str, batch: int) -> Timed:
    """Time timm's network as PyTorch runs it by default."""
    return _time_timm(name, batch, compiles=False)


def time_compiled(name: str, batch: int) -> Timed:
    """Time timm's network through `torch.compile`."""
    return _time_timm(name, batch, compiles=True)


def _time_timm(name: str, batch: int, *, compiles: bool) -> Timed:
    try:
        import timm
        import torch
    except ImportError as error:
        raise NotMeasuredError(f"timm and torch must be installed. Got: {error}.") from None
    if not torch.cuda.is_available():
        raise NotMeasuredError("PyTorch must see a GPU. Got: none.")
    side = make_case(name, input_px=0, batch=1, steps=1, rounds=1, augments=False).member.input_px
    torch.manual_seed(SEED)
    torch.backends.cudnn.benchmark = True
    options = {"num_classes": 9, "drop_rate": 0.2, "drop_path_rate": DROP_CONNECT}
    network = timm.create_model(f"tf_efficientnet_{name}", **options).cuda().train()
    network = network.to(memory_format=torch.channels_last)
    images = torch.rand(batch, 3, side, side, device="cuda")
    images = images.to(memory_format=torch.channels_last)
    labels = torch.arange(batch, device="cuda") % 9
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE, fused=True)
    forward = torch.compile(network) if compiles else network

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            logits = forward(images)
        loss = torch.nn.functional.cross_entropy(logits.float(), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        torch.cuda.synchronize()

    return time_step(step, batch, torch.cuda.max_memory_allocated)


def time_step(step: Step, batch: int, peak_bytes: Callable[[], int]) -> Timed:
    """Time a step after some that warm up; the median counts."""
    for _ in range(WARM_STEPS):
        step()
    seconds = []
    for _ in range(STEPS):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    middle = statistics.median(seconds)
    return {
        "images_per_s": batch / middle,
        "step_ms": 1e3 * middle,
        "peak_mib": peak_bytes() / 2**20,
    }
