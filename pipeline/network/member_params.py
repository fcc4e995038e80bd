"""What a member is: one entry of section `member`, readable without Keras."""

from dataclasses import dataclass

HEADS = ("pooled", "flatten", "five_dropouts")
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class HeadParams:
    """What stands between backbone and logits.

    Attributes:
        kind: `pooled`: mean over places. `flatten`: every place of the last feature map, as in the
            published models. `five_dropouts`: pooled, then the mean of five dropouts that share
            the last layer, as the winner of SIIM-ISIC 2020 (https://arxiv.org/abs/2010.05351).
        dense: Widths of layers in between; the published models have 500 and 256.
        dropout: Before the last layer, and each of the five.
    """

    kind: str
    dense: tuple[int, ...]
    dropout: float

    def __post_init__(self) -> None:
        if self.kind not in HEADS:
            raise ValueError(f"head.kind must be one of {list(HEADS)}. Got: {self.kind!r}.")
        if any(width < 1 for width in self.dense):
            raise ValueError(f"head.dense must be widths of at least 1. Got: {list(self.dense)}.")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"head.dropout must be in [0, 1). Got: {self.dropout}.")


@dataclass(frozen=True)
class MemberParams:
    """One member in section `member` of `params.yaml`.

    Attributes:
        backbone: Key of `backbones.BACKBONES`.
        width: Share of the channels, for backbones that come in several widths; else 1.
        crop_px: Side of the crop that its images are resized from.
        input_px: Side of its input.
        weights: `none`, `imagenet`, `noisy-student`, or the path of a file.
        weights_sha256: Of that file; empty otherwise.
        head: What follows the backbone.
        demographics: Whether age, sex and site are an input.
        freeze_batch_norm: Keep statistics and scales of batch normalisation as loaded.
        batch_norm_momentum: Of the running statistics; 0.99 lags in short runs from scratch.
        zero_init_residual: Start every residual branch at 0, so that a deep network from scratch
            begins as a shallow one. Source: https://arxiv.org/abs/1706.02677, section 5.1.
        drop_connect: Highest chance that a residual branch is dropped.
        precision: `float32`, or `bfloat16` for the arithmetic of the layers; weights, softmax and
            loss are float32 either way.
        batch_size: Images of one optimizer step, over all devices.
        accumulation_steps: Parts that a batch is taken in, one after another, to save memory.
        epochs: All epochs, warm-up and those with a frozen backbone included.
        frozen_epochs: First epochs, in which the layers after the backbone train alone.
        frozen_learning_rate: Throughout those.
        warmup_epochs: Linear rise of the learning rate from 0, after the frozen ones.
        peak_learning_rate: Reached at the end of the warm-up.
    """

    backbone: str
    width: float
    crop_px: int
    input_px: int
    weights: str
    weights_sha256: str
    head: HeadParams
    demographics: bool
    freeze_batch_norm: bool
    batch_norm_momentum: float
    zero_init_residual: bool
    drop_connect: float
    precision: str
    batch_size: int
    accumulation_steps: int
    epochs: int
    frozen_epochs: int
    frozen_learning_rate: float
    warmup_epochs: int
    peak_learning_rate: float

    def __post_init__(self) -> None:
        for name in ("crop_px", "input_px", "batch_size", "accumulation_steps", "epochs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1. Got: {getattr(self, name)}.")
        for name in ("batch_norm_momentum", "drop_connect"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1). Got: {getattr(self, name)}.")
        for name in ("width", "frozen_learning_rate", "peak_learning_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0. Got: {getattr(self, name)}.")
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"precision must be one of {list(PRECISIONS)}. Got: {self.precision!r}."
            )
        self._check_epochs()
        self._check_parts()

    def _check_epochs(self) -> None:
        if not 0 <= self.frozen_epochs < self.epochs:
            raise ValueError(
                f"frozen_epochs must be from 0 to epochs - 1. Got: {self.frozen_epochs}."
            )
        if not 0 <= self.warmup_epochs <= self.epochs - self.frozen_epochs:
            raise ValueError(
                "warmup_epochs must be from 0 to the epochs that are not frozen. "
                f"Got: {self.warmup_epochs}."
            )

    def _check_parts(self) -> None:
        if self.batch_size % self.accumulation_steps:
            raise ValueError(
                f"batch_size must be a multiple of accumulation_steps. "
                f"Got: {self.batch_size} and {self.accumulation_steps}."
            )
        if self.zero_init_residual and (self.weights != "none" or self.freeze_batch_norm):
            raise ValueError(
                "zero_init_residual must be false unless weights are none and batch normalisation "
                f"trains. Got: {self.weights!r} and freeze_batch_norm {self.freeze_batch_norm}."
            )
