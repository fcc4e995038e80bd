"""What is seen of a run while it goes on: one progress bar, and metrics on disk for DVC's plots."""

import statistics
import time
from pathlib import Path
from typing import Any, Self

from dvclive import Live
from tqdm import tqdm


class Watch:
    """Progress bar of a whole run and its DVCLive folder; use as a context.

    Args:
        name: Of the bar.
        epochs: Of the run.
        epoch_images: Images of one epoch.
        history: Rows of epochs that an earlier process finished: DVC may have deleted the folder.
        folder: Of DVCLive; `None` writes none.
    """

    def __init__(
        self,
        name: str,
        *,
        epochs: int,
        epoch_images: int,
        history: list[dict[str, Any]],
        folder: Path | None,
    ) -> None:
        self._epochs = epochs
        self._bar = tqdm(
            total=epochs * epoch_images,
            initial=len(history) * epoch_images,
            desc=name,
            unit="image",
            smoothing=0.05,
        )
        # DVCLive would write the project's own dvc.yaml, and an experiment into git.
        options = {"dvcyaml": False, "save_dvc_exp": False, "report": None}
        self._live = Live(str(folder), **options) if folder else None
        for row in history:
            self._log(row)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()
        if self._live:
            self._live.end()

    def step(self, epoch: int, images: int, losses: list[float], rate: float) -> None:
        """Show a step: the mean loss of the epoch's steps so far, and the learning rate."""
        shown = {"epoch": f"{epoch + 1}/{self._epochs}", "rate": f"{rate:.1e}"}
        if losses:  # a step's loss is read while the next one runs
            shown["loss"] = f"{statistics.fmean(losses):.3f}"
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(images)

    def epoch(self, row: dict[str, Any]) -> None:
        """Write the metrics of a finished epoch."""
        self._log(row)

    def _log(self, row: dict[str, Any]) -> None:
        if not self._live:
            return
        for key, value in row.items():
            if key != "epoch":
                self._live.log_metric(key, value)
        self._live.next_step()


class Speed:
    """Measures the steps of one epoch that this process took."""

    def __init__(self) -> None:
        self._started = self._last = time.perf_counter()
        self._images, self._waited, self._steps = 0, 0.0, []

    def step(self, images: int, waited: float) -> None:
        now = time.perf_counter()
        self._steps.append(now - self._last)
        self._last = now
        self._images += images
        self._waited += waited

    def row(self) -> dict[str, float]:
        """Return images/s, the median step, and the share of time spent waiting for data."""
        seconds = time.perf_counter() - self._started
        return {
            "images_per_s": self._images / seconds,
            "step_ms": 1e3 * statistics.median(self._steps),
            "wait_share": self._waited / seconds,
            "seconds": seconds,
        }
