"""Training: the loop, its checkpoints, its report, and an eye on the transformer."""

from stnref.training.checkpoint import Progress as Progress
from stnref.training.checkpoint import load_checkpoint as load_checkpoint
from stnref.training.checkpoint import save_checkpoint as save_checkpoint
from stnref.training.monitor import TransformerState as TransformerState
from stnref.training.monitor import watch as watch
from stnref.training.report import reported as reported
from stnref.training.tiny import train as train
from stnref.training.trainer import DataSet as DataSet
from stnref.training.trainer import DivergenceError as DivergenceError
from stnref.training.trainer import Evaluation as Evaluation
from stnref.training.trainer import Recipe as Recipe
from stnref.training.trainer import Step as Step
from stnref.training.trainer import evaluate as evaluate
from stnref.training.trainer import train_epoch as train_epoch
