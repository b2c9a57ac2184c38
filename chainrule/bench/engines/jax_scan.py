"""JAX: an epoch as one `lax.scan`, rows gathered inside, the state donated to the next call."""

from __future__ import annotations

import math
import os
from typing import Any

from chainrule.bench.engines import THREADS, Run
from chainrule.bench.workloads import Problem, Workload

COUNT = int(os.environ.get(THREADS, "1"))
if COUNT == 1:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"

import jax  # noqa: E402 — reads the flags above when it is imported
import jax.numpy as jnp  # noqa: E402
from jax import lax  # noqa: E402

IN_BOUNDS = "promise_in_bounds"
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid}
Params = list[Any]


def _make_client() -> None:
    """Start XLA, whose pool has as many threads as the process may use cores when it starts."""
    if not hasattr(os, "sched_setaffinity"):
        jax.devices()
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(allowed)[:COUNT]))
    jax.devices()
    os.sched_setaffinity(0, allowed)


jax.config.update("jax_platforms", "cpu")
_make_client()


def _loss(w: Workload, params: Params, x: Any, y: Any) -> Any:
    for weight, bias in params[:-1]:
        x = ACTIVATIONS[w.activation](x @ weight + bias)
    x = x @ params[-1][0] + params[-1][1]
    if w.output:
        x = ACTIVATIONS[w.output](x)
    if w.loss == "cross_entropy":
        picked = jnp.take_along_axis(x, y[:, None], axis=1)[:, 0]
        return (jax.nn.logsumexp(x, axis=1) - picked).mean()
    return jnp.square(x - y).sum() / len(x)


def _updated(w: Workload, state: Any, grads: Any) -> Any:
    """Parameters, moments and number of the step after one more."""
    params, m, v, t = state
    each = jax.tree_util.tree_map
    if w.rule == "sgd":
        return each(lambda p, g: p - w.lr * g, params, grads), m, v, t
    t = t + 1
    m = each(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, grads)
    v = each(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, grads)
    # 1 − βᵗ cancels in float32; −expm1(t ln β) does not.
    rest_1, rest_2 = (-jnp.expm1(t * math.log(beta)) for beta in (BETA1, BETA2))
    rate, root = w.lr / rest_1, 1 / jnp.sqrt(rest_2)
    params = each(lambda p, m, v: p - rate * m / (jnp.sqrt(v) * root + EPSILON), params, m, v)
    return params, m, v, t


def prepare(problem: Problem, threads: int) -> Run:
    """`jit` of the scan over the steps of a call."""
    w = problem.workload
    X, y = jnp.asarray(problem.X), jnp.asarray(problem.y_rows)
    names = [(f"W_{i}", f"b_{i}") for i in range(1, problem.layers + 1)]
    params = [tuple(jnp.array(problem.start[name]) for name in pair) for pair in names]
    zeros = [tuple(jnp.zeros_like(p) for p in pair) for pair in params]
    adam = w.rule == "adam"
    state: Any = (
        params,
        zeros if adam else (),
        jax.tree_util.tree_map(jnp.copy, zeros) if adam else (),
        jnp.zeros((), jnp.float32),
    )
    slopes = jax.value_and_grad(lambda params, x, y: _loss(w, params, x, y))

    def epoch(state: Any, X: Any, y: Any, order: Any) -> Any:
        def step(state: Any, rows: Any) -> Any:
            # Row numbers are known to be good: without this promise each one is looked at.
            batch = (X, y) if w.full else [a.at[rows].get(mode=IN_BOUNDS) for a in (X, y)]
            loss, grads = slopes(state[0], *batch)
            return _updated(w, state, grads), loss

        return lax.scan(step, state, order)

    compiled = jax.jit(epoch, donate_argnums=0)

    def run(start: int, steps: int) -> list[float]:
        nonlocal state
        order = problem.order.rows(start, steps)
        order = order[:, :1] if w.full else order  # the scan only counts then
        state, losses = compiled(state, X, y, jnp.asarray(order, jnp.int32))
        return list(losses.tolist())

    return run
