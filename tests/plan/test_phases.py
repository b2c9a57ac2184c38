"""When threads wait, and where values lie: by property on random lifetimes, and by planted bugs."""

import numpy as np
import pytest

from chainrule.expr import input_
from chainrule.ops import OPS, sum_
from chainrule.ops.activations import tanh
from chainrule.ops.indexing import rename
from chainrule.plan.kernels import Kernel
from chainrule.plan.phases import Access, accesses, arena, lifetimes, prepared_early, waits

ALIGN = 64


def random_needs(rng):
    """Buffers of all sizes, each used in some phases in a row."""
    needs = {}
    for i in range(int(rng.integers(0, 40))):
        size = int(rng.choice([0, 1, 63, 64, 65, int(rng.integers(1, 5000))]))
        first = int(rng.integers(0, 20))
        needs[f"t{i}"] = (size, (first, first + int(rng.integers(0, 8))))
    return needs


def assert_no_overlap(needs, offsets, total):
    for name, (size, (first, last)) in needs.items():
        assert offsets[name] % ALIGN == 0
        assert 0 <= offsets[name] <= offsets[name] + size <= total
        for other, (more, (begin, end)) in needs.items():
            if name < other and first <= end and begin <= last and size and more:
                apart = offsets[name] + size <= offsets[other]
                assert apart or offsets[other] + more <= offsets[name], f"{name} and {other}"


def test_values_that_are_needed_at_the_same_time_never_overlap():
    for seed in range(1000):
        needs = random_needs(np.random.default_rng(seed))
        assert_no_overlap(needs, *arena(needs))


def test_the_overlap_assertion_itself_finds_overlaps():
    needs = {"a": (100, (0, 1)), "b": (100, (1, 2))}
    with pytest.raises(AssertionError, match="a and b"):
        assert_no_overlap(needs, {"a": 0, "b": 64}, 200)


def test_memory_is_never_less_than_the_busiest_phase_nor_more_than_everything():
    for seed in range(100):
        needs = random_needs(np.random.default_rng(seed))
        rooms = {n: max(-(-size // ALIGN) * ALIGN, ALIGN) for n, (size, _) in needs.items()}
        busiest = max(
            (
                sum(rooms[n] for n, (_, (first, last)) in needs.items() if first <= p <= last)
                for p in range(30)
            ),
            default=0,
        )
        assert busiest <= arena(needs)[1] <= sum(rooms.values())


def test_values_one_after_another_share_their_place():
    offsets, total = arena({f"t{i}": (1000, (i, i)) for i in range(10)})
    assert set(offsets.values()) == {0}
    assert total == 1024


X = input_("X", "k m")
COLUMN_SUMS, ROW_SUMS = sum_(X, ("k",)), sum_(X, ("m",))


def kernel(node, root=None):
    """A kernel that computes one value."""
    return Kernel(node.axes, root, (node,), (node,))


def waits_between(first, second, axes):
    """Whether threads wait between two kernels that are divided along these axes."""
    buffers = {X: "X", first.stores[0]: "a", second.stores[0]: "b"}
    return waits([first, second], dict(zip((first, second), axes, strict=True)), buffers)[1]


def test_threads_do_not_wait_for_entries_of_their_own():
    first = kernel(tanh(X))
    second = kernel(tanh(tanh(X)))
    assert not waits_between(first, second, ("m", "m"))
    assert waits_between(first, second, ("m", "k")), "divided along another axis"
    assert waits_between(first, second, ("m", "")), "thread 0 needs what the others made"


def test_threads_wait_where_a_sum_runs_over_the_axis_that_is_divided():
    first = kernel(tanh(X))
    over_m, over_k = (kernel(s, s) for s in (sum_(tanh(X), ("m",)), sum_(tanh(X), ("k",))))
    assert not waits_between(first, over_k, ("m", "m"))
    assert waits_between(first, over_m, ("m", "k"))


def test_threads_wait_where_values_are_read_at_other_places():
    first = kernel(tanh(X))
    second = kernel(rename(tanh(X), k="m", m="k") + 1.0)
    assert waits_between(first, second, ("m", "m"))


def test_threads_that_only_read_the_same_input_do_not_wait():
    assert not waits_between(kernel(COLUMN_SUMS, COLUMN_SUMS), kernel(ROW_SUMS, ROW_SUMS), "mk")


def test_copies_of_inputs_come_before_the_first_wait_of_the_others():
    across = sum_(tanh(X), ("m",))
    copy, other = (OPS["exp"](input_(name, "k m")) for name in "UV")
    first, second, third = kernel(tanh(X)), kernel(across, across), kernel(tanh(across) + copy)
    cut = [first, second, kernel(copy), third, kernel(other)]
    buffers = {x: str(i) for i, k in enumerate(cut) for x in k.stores}
    axis_of = dict(zip(cut, "kmmkm", strict=True))
    assert waits(cut, axis_of, buffers) == [False, True, False, True, False]
    early = prepared_early(cut, axis_of, buffers)
    assert early == [first, cut[2], cut[4], second, third]
    assert sum(waits(early, axis_of, buffers)) == 2
    used = kernel(tanh(across) + copy)
    axis_of[used] = "k"
    assert prepared_early([second, cut[2], used], axis_of, buffers) == [second, cut[2], used]


def test_an_input_is_not_overwritten_before_others_have_read_it():
    W, V = input_("W", "k m"), input_("V", "k m")
    across, new = sum_(tanh(X), ("m",)), W - 1.0
    cut = [kernel(tanh(X)), kernel(across, across), kernel(tanh(across) + W), kernel(new)]
    cut.append(kernel(OPS["exp"](V)))
    buffers = {W: "W", V: "V", X: "X"} | {x: str(i) for i, k in enumerate(cut) for x in k.stores}
    axis_of = dict(zip(cut, "kmkmm", strict=True))
    assert prepared_early(cut, axis_of, buffers)[2] is cut[4]
    buffers[new] = "W"
    assert prepared_early(cut, axis_of, buffers)[-1] is cut[3]


def test_accesses_say_what_is_read_and_written_where():
    k = kernel(COLUMN_SUMS, COLUMN_SUMS)
    assert accesses(k, "m", {X: "X", COLUMN_SUMS: "s"}) == [
        Access("X", False, "m", True),
        Access("s", True, "m", True),
    ]


def test_a_value_lives_from_the_phase_that_writes_it_to_the_last_that_reads_it():
    a, b = tanh(X), sum_(tanh(X), ("k",))
    c = OPS["exp"](b)
    cut = [kernel(a), kernel(b, b), kernel(c)]
    buffers = {X: "X", a: "a", b: "b", c: "c"}
    found = lifetimes(cut, [False, True, True], buffers)
    assert found == {"X": (0, 0), "a": (0, 1), "b": (1, 2), "c": (2, 2)}
    together = lifetimes(cut, [False, False, False], buffers)
    assert set(together.values()) == {(0, 0)}, "without waits all threads may be anywhere"
