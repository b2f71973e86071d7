"""Training: the loop, its checkpoints, its report."""

from stnref.training.checkpoint import Progress as Progress
from stnref.training.checkpoint import load_checkpoint as load_checkpoint
from stnref.training.checkpoint import save_checkpoint as save_checkpoint
from stnref.training.report import reported as reported
from stnref.training.trainer import DataSet as DataSet
from stnref.training.trainer import DivergenceError as DivergenceError
from stnref.training.trainer import Evaluation as Evaluation
from stnref.training.trainer import Recipe as Recipe
from stnref.training.trainer import Step as Step
from stnref.training.trainer import evaluate as evaluate
from stnref.training.trainer import train_epoch as train_epoch
