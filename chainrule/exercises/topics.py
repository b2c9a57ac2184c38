"""The topics: what each is about, and what makes its problems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chainrule.exercises import counts, layers, numbers, scalars
from chainrule.exercises.draw import Draw
from chainrule.exercises.parts import Problem


@dataclass(frozen=True)
class Topic:
    """What a topic is about, and the function that makes a problem from a draw and a level."""

    about: str
    make: Callable[[Draw, int], Problem]


TOPICS = {
    "chain-rule": Topic(
        "h(x) = g(f(x)): derivatives of functions of functions", scalars.chain_rule
    ),
    "activation-derivative": Topic(
        "f′(z) written with the output alone", scalars.activation_derivative
    ),
    "chain-net": Topic("a chain of single units: two recurrences", scalars.chain_net),
    "two-paths": Topic("a unit that acts on the loss along two paths", scalars.two_paths),
    "gradient-step": Topic("one step of gradient descent, in numbers", numbers.gradient_step),
    "per-example": Topic("one example or the average of all, in numbers", numbers.per_example),
    "random-search": Topic("is trying parameters a good idea? In numbers", numbers.random_search),
    "linear-regression": Topic("the gradients of a linear model", layers.linear_regression),
    "logistic-regression": Topic("sigmoid and cross-entropy", layers.logistic_regression),
    "softmax": Topic("softmax and cross-entropy", layers.softmax_cross_entropy),
    "two-layer-linear": Topic("two linear layers", layers.two_layer_linear),
    "two-layer": Topic("two layers with an activation between them", layers.two_layer),
    "transpose": Topic("where does the transpose go?", layers.transpose),
    "bias": Topic("a bias that is broadcast receives a sum", layers.bias),
    "shapes": Topic("shapes and numbers of parameters", counts.parameter_count),
}
