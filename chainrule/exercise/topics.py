"""The topics: what each is about, and what makes its problems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chainrule.exercise.draw import Draw
from chainrule.exercise.layers import linear_regression
from chainrule.exercise.numbers import gradient_step
from chainrule.exercise.parts import Problem
from chainrule.exercise.scalars import activation_derivative


@dataclass(frozen=True)
class Topic:
    """What a topic is about, and the function that makes a problem from a draw and a level."""

    about: str
    make: Callable[[Draw, int], Problem]


TOPICS = {
    "activation-derivative": Topic("f′(z) written with the output alone", activation_derivative),
    "gradient-step": Topic("one step of gradient descent, in numbers", gradient_step),
    "linear-regression": Topic("∂L/∂w and ∂L/∂b of a linear model", linear_regression),
}
