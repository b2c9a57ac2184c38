"""PyTorch, compiled: loss, gradients and update of a step as one graph for `torch.compile`."""

from __future__ import annotations

import torch
from torch import Tensor

from chainrule.bench.engines import Run
from chainrule.bench.engines.pytorch import batches, loss_function, parameters
from chainrule.bench.workloads import Problem

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def prepare(problem: Problem, threads: int) -> Run:
    """The step as a function that changes its state in place, compiled without graph breaks."""
    torch.set_num_threads(threads)
    w = problem.workload
    params = parameters(problem)
    moments = [torch.zeros_like(p) for p in params], [torch.zeros_like(p) for p in params]
    # Numbers as tensors: a Python number that changes would be compiled in anew at every step.
    # Of one entry, not of none: changes of a tensor without axes are lost (PyTorch 2.13, CPU).
    powers = torch.ones(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    gradients = torch.func.grad_and_value(loss_function(w))

    def sgd(x: Tensor, y: Tensor) -> Tensor:
        grads, loss = gradients(params, x, y)
        for p, g in zip(params, grads, strict=True):
            p.sub_(g, alpha=w.lr)
        return loss

    def adam(x: Tensor, y: Tensor) -> Tensor:
        grads, loss = gradients(params, x, y)
        powers[0].mul_(BETA1)
        powers[1].mul_(BETA2)
        rest_1, rest_2 = (1 - power for power in powers)
        rate = (w.lr / rest_1).to(torch.float32)
        root = rest_2.rsqrt().to(torch.float32)
        for p, g, m, v in zip(params, grads, *moments, strict=True):
            m.lerp_(g, 1 - BETA1)
            v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
            p.sub_(rate * m / (v.sqrt() * root + EPSILON))
        return loss

    step = torch.compile(adam if w.rule == "adam" else sgd, fullgraph=True, dynamic=False)
    X, y = torch.from_numpy(problem.X), torch.from_numpy(problem.y_rows)

    def run(start: int, steps: int) -> list[float]:
        with torch.no_grad():
            losses = [step(x, target) for x, target in batches(problem, X, y, start, steps)]
        return list(torch.stack(losses).tolist())

    return run
