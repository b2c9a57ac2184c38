"""Training: initial values, schedules, update rules, the loop, and what it shows meanwhile."""

from chainrule.training.init import Initialiser
from chainrule.training.loop import EpochView
from chainrule.training.optimizers import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Momentum,
    Nesterov,
    Optimizer,
    RMSprop,
)
from chainrule.training.result import Run
from chainrule.training.rundir import load_run
from chainrule.training.schedules import Schedule
from chainrule.training.settings import EarlyStopping
from chainrule.training.training import train

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "EarlyStopping",
    "EpochView",
    "Initialiser",
    "Momentum",
    "Nesterov",
    "Optimizer",
    "RMSprop",
    "Run",
    "Schedule",
    "load_run",
    "train",
]
