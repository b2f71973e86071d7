"""Training: the loop, its checkpoints, its report."""

from stnref.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from stnref.training.report import reported
from stnref.training.trainer import (
    DataSet,
    DivergenceError,
    Evaluation,
    Recipe,
    Step,
    evaluate,
    train_epoch,
)

__all__ = [
    "DataSet",
    "DivergenceError",
    "Evaluation",
    "Progress",
    "Recipe",
    "Step",
    "evaluate",
    "load_checkpoint",
    "reported",
    "save_checkpoint",
    "train_epoch",
]
