"""How members are trained: section `train`, readable without Keras."""

from dataclasses import dataclass

from pipeline.network.augmentation.params import AugmentParams

SCHEDULES = ("warmup_cosine", "winner_2020", "constant", "reduce_on_plateau")
OPTIMIZERS = ("adam", "adamw")
LOSSES = ("cross_entropy", "focal")
CLASS_WEIGHTS = ("none", "balanced", "square_root")
SAMPLINGS = ("natural", "balanced")
DEVICES = ("one", "all", "hosts")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be one of {list(known)}. Got: {value!r}.")


@dataclass(frozen=True)
class ScheduleParams:
    """The learning rate over a run; see `network.schedule`.

    Attributes:
        kind: `warmup_cosine`: linear from 0 to the peak, then cosine to 0, at each step.
            `winner_2020`: a tenth of the peak in the first epoch, then cosine, epoch by epoch.
            `constant`: the peak throughout. `reduce_on_plateau`: the peak, multiplied by `factor`
            whenever the monitored loss has not improved for `patience` epochs.
        factor: For `reduce_on_plateau`, in (0, 1).
        patience: For `reduce_on_plateau`, epochs.
    """

    kind: str
    factor: float
    patience: int

    def __post_init__(self) -> None:
        _one_of("schedule.kind", self.kind, SCHEDULES)
        if not 0 < self.factor < 1:
            raise ValueError(f"schedule.factor must be in (0, 1). Got: {self.factor}.")
        if self.patience < 1:
            raise ValueError(f"schedule.patience must be at least 1. Got: {self.patience}.")


@dataclass(frozen=True)
class OptimizerParams:
    """The optimizer; 0 switches a part off.

    Attributes:
        kind: `adam` or `adamw`.
        weight_decay: For `adamw`, decoupled; scales and shifts of normalisation are left out.
        clip_norm: Largest norm of all gradients together.
        ema_momentum: Of the moving average of the weights, in (0, 1), for example 0.999. Where it
            is on, the averages are what is scored and kept.
    """

    kind: str
    weight_decay: float
    clip_norm: float
    ema_momentum: float

    def __post_init__(self) -> None:
        _one_of("optimizer.kind", self.kind, OPTIMIZERS)
        for name in ("weight_decay", "clip_norm"):
            if getattr(self, name) < 0:
                raise ValueError(f"optimizer.{name} must be >= 0. Got: {getattr(self, name)}.")
        if self.weight_decay and self.kind != "adamw":
            raise ValueError(
                f"optimizer.weight_decay must be 0 for {self.kind}. Got: {self.weight_decay}."
            )
        if not 0 <= self.ema_momentum < 1:
            raise ValueError(f"optimizer.ema_momentum must be in [0, 1). Got: {self.ema_momentum}.")


@dataclass(frozen=True)
class LossParams:
    """The loss, over nine classes.

    Attributes:
        kind: `cross_entropy`, or `focal` (https://arxiv.org/abs/1708.02002).
        focal_gamma: For `focal`.
        label_smoothing: Share of the truth that is spread over all classes.
        class_weights: `none`; `balanced`: n / (classes · n of the class); `square_root` of that.
            Weights are scaled to a mean of 1 over the training cases.
    """

    kind: str
    focal_gamma: float
    label_smoothing: float
    class_weights: str

    def __post_init__(self) -> None:
        _one_of("loss.kind", self.kind, LOSSES)
        _one_of("loss.class_weights", self.class_weights, CLASS_WEIGHTS)
        if self.focal_gamma < 0:
            raise ValueError(f"loss.focal_gamma must be >= 0. Got: {self.focal_gamma}.")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"loss.label_smoothing must be in [0, 1). Got: {self.label_smoothing}."
            )


@dataclass(frozen=True)
class EarlyStoppingParams:
    """When to stop before the last epoch, and which weights to keep.

    Attributes:
        patience: Epochs without a better loss on the inner part; 0 trains to the last epoch and
            keeps its weights.
        inner_share: Of the training components, set aside and monitored. Never the fold that makes
            the reference of rank scores: that one has to stay unseen.
    """

    patience: int
    inner_share: float

    def __post_init__(self) -> None:
        if self.patience < 0:
            raise ValueError(f"early_stopping.patience must be >= 0. Got: {self.patience}.")
        if not 0 <= self.inner_share <= 0.5:
            raise ValueError(
                f"early_stopping.inner_share must be in [0, 0.5]. Got: {self.inner_share}."
            )
        if self.patience and not self.inner_share:
            raise ValueError("early_stopping.inner_share must be > 0 where patience is. Got: 0.")


@dataclass(frozen=True)
class TrainParams:
    """Section `train` of `params.yaml`.

    Attributes:
        seed: Of initial weights, order, augmentation and dropout.
        schedule: Learning rate.
        optimizer: Optimizer.
        loss: Loss.
        early_stopping: When to stop.
        sampling: `natural`: every case once an epoch. `balanced`: as many draws, each class as
            often as any other.
        demographics_dropout: Chance that age, sex or site, each by itself, is hidden from the
            member for an epoch, so that a CAD system may leave any of them out.
        checkpoint_steps: Optimizer steps between checkpoints; 0 writes at the end of an epoch only.
        devices: `one`; `all` of this machine (MirroredStrategy); `hosts` that TF_CONFIG names.
        compile_xla: Compile the whole step with XLA; JAX always does.
        augment: Random changes to images.
    """

    seed: int
    schedule: ScheduleParams
    optimizer: OptimizerParams
    loss: LossParams
    early_stopping: EarlyStoppingParams
    sampling: str
    demographics_dropout: float
    checkpoint_steps: int
    devices: str
    compile_xla: bool
    augment: AugmentParams

    def __post_init__(self) -> None:
        _one_of("sampling", self.sampling, SAMPLINGS)
        _one_of("devices", self.devices, DEVICES)
        if not 0 <= self.demographics_dropout <= 1:
            raise ValueError(
                f"demographics_dropout must be in [0, 1]. Got: {self.demographics_dropout}."
            )
        if self.checkpoint_steps < 0:
            raise ValueError(f"checkpoint_steps must be >= 0. Got: {self.checkpoint_steps}.")
        if self.schedule.kind == "reduce_on_plateau" and not self.early_stopping.inner_share:
            raise ValueError(
                "early_stopping.inner_share must be > 0 for reduce_on_plateau, whose loss it "
                "gives. Got: 0."
            )
