"""What a member is: one entry of section `member`, readable without Keras."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MemberParams:
    """One member in section `member` of `params.yaml`.

    Attributes:
        backbone: Key of `backbones.BACKBONES`.
        crop_px: Side of the crop that its images are resized from.
        input_px: Side of its input.
        weights: `none`, `imagenet`, `noisy-student`, or the path of a file.
        weights_sha256: Of that file; empty otherwise.
        demographics: Whether age, sex and site are an input.
        freeze_batch_norm: Keep statistics and scales of batch normalisation as loaded.
        batch_norm_momentum: Of the running statistics; 0.99 lags in short runs from scratch.
        zero_init_residual: Start every residual branch at 0, so that a deep network from scratch
            begins as a shallow one. Source: https://arxiv.org/abs/1706.02677, section 5.1.
        drop_connect: Highest chance that a residual branch is dropped.
        dropout: Before the last layer.
        batch_size: Images of one optimizer step, over all devices.
        epochs: All epochs, warm-up included.
        warmup_epochs: Linear rise of the learning rate from 0.
        peak_learning_rate: Reached at the end of the warm-up.
    """

    backbone: str
    crop_px: int
    input_px: int
    weights: str
    weights_sha256: str
    demographics: bool
    freeze_batch_norm: bool
    batch_norm_momentum: float
    zero_init_residual: bool
    drop_connect: float
    dropout: float
    batch_size: int
    epochs: int
    warmup_epochs: int
    peak_learning_rate: float

    def __post_init__(self) -> None:
        for name in ("crop_px", "input_px", "batch_size", "epochs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1. Got: {getattr(self, name)}.")
        for name in ("batch_norm_momentum", "drop_connect", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1). Got: {getattr(self, name)}.")
        if not 0 <= self.warmup_epochs <= self.epochs:
            raise ValueError(f"warmup_epochs must be from 0 to epochs. Got: {self.warmup_epochs}.")
        if self.zero_init_residual and (self.weights != "none" or self.freeze_batch_norm):
            raise ValueError(
                "zero_init_residual must be false unless weights are none and batch normalisation "
                f"trains. Got: {self.weights!r} and freeze_batch_norm {self.freeze_batch_norm}."
            )
        if not self.peak_learning_rate > 0:
            raise ValueError(f"peak_learning_rate must be > 0. Got: {self.peak_learning_rate}.")
