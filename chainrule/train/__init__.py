"""Training: initial values, schedules, update rules, the loop, and what it shows meanwhile."""

from chainrule.train.init import Initialiser
from chainrule.train.loop import EpochView
from chainrule.train.optimizers import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Momentum,
    Nesterov,
    Optimizer,
    RMSprop,
)
from chainrule.train.result import Run
from chainrule.train.rundir import load_run
from chainrule.train.schedules import Schedule
from chainrule.train.settings import EarlyStopping
from chainrule.train.training import train

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
