"""PyTorch, eager: plain functions, fused rule, no gradients kept, an epoch gathered at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import repeat

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from chainrule.bench.engines import Run
from chainrule.bench.workloads import Problem, Workload

torch.set_num_interop_threads(1)
ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}


def parameters(problem: Problem) -> list[Tensor]:
    """Weights (outputs, inputs), as `F.linear` likes them, and biases, in turn."""
    arrays = [np.ascontiguousarray(value.T) for value in problem.start.values()]
    return [torch.tensor(array) for array in arrays]


def loss_function(w: Workload) -> Callable[[list[Tensor], Tensor, Tensor], Tensor]:
    """(parameters, rows, targets) → loss."""
    activation = ACTIVATIONS[w.activation]

    def loss(params: list[Tensor], x: Tensor, y: Tensor) -> Tensor:
        for i in range(0, len(params) - 2, 2):
            x = activation(F.linear(x, params[i], params[i + 1]))
        x = F.linear(x, params[-2], params[-1])
        if w.output:
            x = ACTIVATIONS[w.output](x)
        if w.loss == "cross_entropy":
            return F.cross_entropy(x, y)
        return F.mse_loss(x, y, reduction="sum") / len(x)

    return loss


def batches(
    problem: Problem, X: Tensor, y: Tensor, start: int, steps: int
) -> Iterable[tuple[Tensor, Tensor]]:
    """Rows and targets of each step: one gather a call costs less than one a step."""
    w = problem.workload
    if w.full:
        return repeat((X, y), steps)
    rows = torch.from_numpy(problem.order.rows(start, steps)).view(-1)
    gathered = X.index_select(0, rows), y.index_select(0, rows)
    return zip(*(part.split(w.batch) for part in gathered), strict=True)


def prepare(problem: Problem, threads: int) -> Run:
    """Autograd and `torch.optim`."""
    torch.set_num_threads(threads)
    w = problem.workload
    params = [p.requires_grad_() for p in parameters(problem)]
    rule = torch.optim.Adam if w.rule == "adam" else torch.optim.SGD
    optimizer = rule(params, lr=w.lr, fused=True)
    loss_of = loss_function(w)
    X, y = torch.from_numpy(problem.X), torch.from_numpy(problem.y_rows)

    def run(start: int, steps: int) -> list[float]:
        losses = []
        for x, target in batches(problem, X, y, start, steps):
            loss = loss_of(params, x, target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return list(torch.stack(losses).tolist())

    return run
