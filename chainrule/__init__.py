r"""chainrule: glass-box backpropagation.

Write a network down; chainrule works out every derivative, shows it, checks it and runs it.

>>> import chainrule as cr
>>> def line(w: "", b: "", x: "m", y: "m"):
...     y_hat = w * x + b
...     return cr.mse(y_hat, y)
>>> d = cr.derive(line, wrt=["w", "b"])
>>> print(d.latex(only="w"))
\frac{\partial\mathcal{L}}{\partial w} &= \frac{2}{m}(\hat{y} - y)x^\intercal
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Where each public name lives. A module is imported when a name of it is first used, so that
# `import chainrule` stays fast.
_PUBLIC = {
    "derivation": ("derive", "per_example", "Derivation", "PerExample"),
    "explain.examples": ("with_examples",),
    "explain.outputs": ("per_output", "PerOutput"),
    "exercises.exercise": ("exercise", "Exercise"),
    "netfile": ("define", "parse_net", "read_net", "write_net"),
    "definition": ("with_loss",),
    "diagnose.checking": ("check_backward",),
    "expr": ("Definition", "Expr"),
    "nn": ("mlp", "dense", "without_dropout"),
    "check.lint": ("lint", "LintReport"),
    "explain.ruletable": ("rule_table", "RuleTable"),
    "errors": ("ChainruleError", "ChainruleWarning"),
    "training": (
        "train", "Run", "load_run",
        "SGD", "Momentum", "Nesterov", "RMSprop", "Adagrad", "Adam", "AdamW",
        "Initialiser", "Schedule", "EarlyStopping",
    ),
    "auditing.auditor": ("audit",),
    "auditing.report": ("AuditReport",),
    "estimators": ("Classifier", "Regressor"),
    "ops.arithmetic": (
        "exp", "log", "log1p", "expm1", "sqrt", "square", "tanh", "erf", "sign", "maximum",
        "minimum", "clip", "where", "eq",
    ),
    "ops.activations": (
        "sigmoid", "relu", "leaky_relu", "elu", "selu", "gelu", "gelu_tanh", "silu",
        "softplus", "log_sigmoid", "softmax", "log_softmax", "logsumexp",
    ),
    "ops.structure": (
        "mean", "argmax", "contract", "matmul", "transpose", "expand", "stop_gradient", "one_hot",
        "size",
    ),
    "ops.indexing": ("rename", "merge", "split", "cut", "concat", "gather"),
    "ops.random": ("dropout",),
    "ops": ("cross_entropy",),
    "ops.losses": (
        "mse", "half_mse", "sum_squares", "mae", "huber", "log_cosh", "poisson", "bce",
        "bce_logits", "hinge", "kl",
    ),
}  # fmt: skip
# Operations whose name is a builtin's: the module spells them with a trailing underscore.
_SPELLED = {name: ("ops.structure", f"{name}_") for name in ("sum", "max", "min")}
_SPELLED |= {name: ("ops.arithmetic", f"{name}_") for name in ("abs", "pow")}
_SPELLED |= {name: (module, name) for module, names in _PUBLIC.items() for name in names}

__all__ = sorted(_SPELLED)


def __getattr__(name: str) -> Any:
    if name not in _SPELLED:
        raise AttributeError(f"module 'chainrule' has no attribute {name!r}")
    module, spelled = _SPELLED[name]
    # operations stand in tables that chainrule.ops fills: a single module of them is not enough
    importlib.import_module("chainrule.ops")
    value = getattr(importlib.import_module(f"chainrule.{module}"), spelled)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
