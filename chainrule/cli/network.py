"""From the options to a network, its loss and its update rule."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from chainrule.errors import ParameterError, did_you_mean

if TYPE_CHECKING:
    from chainrule.expr import Definition
    from chainrule.training.optimizers import Optimizer

# Output of the last layer that makes each loss meaningful; "" leaves the sums as they are.
CLASS_LOSSES = {
    "cross_entropy": "",
    "half_mse": "sigmoid",
    "mse": "sigmoid",
    "sum_squares": "sigmoid",
    "mae": "sigmoid",
    "huber": "sigmoid",
    "log_cosh": "sigmoid",
    "bce": "sigmoid",
    "bce_logits": "",
    "hinge": "",
    "kl": "softmax",
}
NUMBER_LOSSES = dict.fromkeys(("mse", "half_mse", "sum_squares", "mae", "huber", "log_cosh"), "")
YES_OR_NO = ("bce", "bce_logits", "hinge")  # two classes need one output only

# First tries that learn digits, tables and MNIST with inputs near mean 0 and deviation 1; the
# adaptive rules' rates are their authors'.
RATES = {
    "sgd": 0.1,
    "momentum": 0.02,
    "ema_momentum": 0.1,
    "nesterov": 0.02,
    "rmsprop": 0.001,
    "adagrad": 0.05,
    "adam": 0.002,
    "adamw": 0.002,
}
REGRESSION_SHARE = 0.2  # squared errors are not bounded: rules without scaling need smaller steps
ADAPTIVE = ("rmsprop", "adagrad", "adam", "adamw")
STEPS = 6000  # updates that are enough for a small table
FEWEST_EPOCHS, MOST_EPOCHS = 10, 200


class Network(NamedTuple):
    """A network without its loss, the loss, the sizes of its layers, what the hidden ones apply."""

    definition: Definition
    loss: str
    widths: list[int]
    activation: str


def network(
    *,
    inputs: int,
    classes: int,
    hidden: list[int],
    activation: str,
    loss: str | None,
    dropout: float,
) -> Network:
    """A multilayer perceptron for the task.

    Args:
        inputs: features.
        classes: 0 in a regression.
        hidden: units of each hidden layer.
        loss: None for cross_entropy or mse.

    Raises:
        ParameterError: the loss does not fit the task, or a part of the network is not possible.
    """
    from chainrule.nn import mlp

    table = CLASS_LOSSES if classes else NUMBER_LOSSES
    chosen = loss or ("cross_entropy" if classes else "mse")
    if chosen not in table:
        task = "classification" if classes else "regression"
        known = f"Losses for it: {', '.join(table)}"
        hint = did_you_mean(chosen, table) or known
        raise ParameterError(f"--loss {chosen!r} is none for {task}", hint=hint)
    outputs = 1 if not classes or (classes == 2 and chosen in YES_OR_NO) else classes
    widths = [inputs, *hidden, outputs]
    net = mlp(widths, activation, table[chosen] or None, dropout)
    return Network(net, chosen, widths, activation)


def optimizer(
    text: str, *, lr: float | None, momentum: float | None, regression: bool
) -> Optimizer:
    """The update rule, its options from the text and from --lr and --momentum.

    Raises:
        ParameterError: a rule or option that does not exist, or an option that is given twice.
    """
    from chainrule.training.optimizers import Optimizer

    name = text.partition(":")[0].strip()
    if momentum is not None and name == "sgd":
        name = "momentum"
        text = text.replace("sgd", name, 1)
    key = "beta" if name == "ema_momentum" else "momentum"
    extra = {"lr": lr, key: momentum}
    given = Optimizer.of(text)
    said = {part.partition("=")[0].strip() for part in text.partition(":")[2].split(",")}
    for option, value in extra.items():
        if value is not None and option in said:
            raise ParameterError(
                f"{option} is given twice: in --optimizer {text!r} and as an option"
            )
    options = {**given.options, **{k: v for k, v in extra.items() if v is not None}}
    if lr is None and "lr" not in said:
        share = REGRESSION_SHARE if regression and name not in ADAPTIVE else 1.0
        options["lr"] = RATES[given.name] * share
    return Optimizer(given.name, **options)


def epochs_for(rows: int, batch_size: int | str | None) -> int:
    """How long to train if nobody says: enough updates, but few epochs of a large table."""
    from chainrule.training.settings import DEFAULT_BATCH

    steps = 1 if batch_size == "all" else math.ceil(rows / int(batch_size or DEFAULT_BATCH))
    return min(max(math.ceil(STEPS / steps), FEWEST_EPOCHS), MOST_EPOCHS)


def hidden_units(text: str) -> list[int]:
    """The sizes in ``64,32``; "none" for no hidden layer.

    Raises:
        ParameterError: something that is no list of whole numbers.
    """
    if text.strip().lower() in ("none", ""):
        return []
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = [0]
    if min(found) < 1:
        what = f"--hidden takes sizes with commas between them, such as 64,32, got {text!r}"
        raise ParameterError(what, hint="For no hidden layer: --hidden none")
    return found


def batch(text: str | None) -> int | str | None:
    """A number of rows, or "all"; None stays None.

    Raises:
        ParameterError: neither.
    """
    if text is None or text == "all":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise ParameterError(f"--batch-size must be a whole number ≥ 1 or all, got {text!r}")
    return int(text)
