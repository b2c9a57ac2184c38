"""Keyed random numbers: the published generator, purity of every index, and statistics."""

from __future__ import annotations

import hashlib
import itertools
import math
import statistics
import time
from collections import Counter

import numpy as np
import pytest

from chainrule.errors import DTypeError, ParameterError
from chainrule.run import keyed

# Random123 (D. E. Shaw Research), tests/kat_vectors, the rows "philox4x32 10": counter, key,
# expected words.
KNOWN_ANSWERS = [
    (
        (0, 0, 0, 0),
        (0, 0),
        (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
    ),
    (
        (0xFFFFFFFF,) * 4,
        (0xFFFFFFFF,) * 2,
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def scalar_philox(counter: tuple[int, ...], key: tuple[int, int]) -> list[int]:
    """Philox4x32-10 with Python integers, written from the paper."""
    x0, x1, x2, x3 = counter
    k0, k1 = key
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * x0, 2**32)
        high1, low1 = divmod(0xCD9E8D57 * x2, 2**32)
        x0, x1, x2, x3 = high1 ^ x1 ^ k0, low1, high0 ^ x3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return [x0, x1, x2, x3]


def scalar_word(seed: int, purpose: str, epoch: int, stream: int, index: int) -> int:
    """One word of a draw, from nothing but its address."""
    low, high = epoch % 2**32, epoch // 2**32
    counter = (index // 4, low, high, keyed.PURPOSES[purpose] + 256 * stream)
    return scalar_philox(counter, (seed % 2**32, seed // 2**32))[index % 4]


def scalar_position(seed: int, epoch: int, n: int, i: int) -> int:
    """Entry i of the permutation, computed without any other entry."""

    def word(stream: int, index: int) -> int:
        return scalar_word(seed, "shuffle", epoch, stream, index)

    bits = (n - 1).bit_length()
    right_bits = bits - bits // 2
    rotation = (word(20, 0) * 2**32 + word(20, 1)) % n
    x = (i + rotation) % n
    while True:
        left, right = divmod(x, 2**right_bits)
        for r in range(0, 20, 2):
            left ^= word(r, right) % 2 ** (bits // 2)
            right ^= word(r + 1, left) % 2**right_bits
        x = left * 2**right_bits + right
        if x < n:
            return x


def assert_chi_squared_is_ordinary(observed: np.ndarray, expected: float) -> None:
    """The statistic, about normal, is within five standard deviations of its mean."""
    freedom = observed.size - 1
    statistic = float(((observed - expected) ** 2 / expected).sum())
    assert abs(statistic - freedom) / math.sqrt(2 * freedom) < 5


def set_every_word(monkeypatch: pytest.MonkeyPatch, word: int) -> None:
    def philox4x32(counter, key):
        return (np.full(len(counter[0]), word, np.uint64),) * 4

    monkeypatch.setattr(keyed, "philox4x32", philox4x32)


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_published_words(counter, key, expected):
    assert tuple(int(word) for word in keyed.philox4x32(counter, key)) == expected
    assert tuple(scalar_philox(counter, key)) == expected


def test_every_word_is_a_function_of_its_address():
    seed, epoch, stream = 2**64 - 5, 2**32 + 9, 2**24 - 1
    count = 4 * keyed.BLOCKS_PER_CHUNK + 7
    drawn = keyed.words(seed, "dropout", epoch, count, stream=stream)
    for index in (0, 1, 2, 3, 4, 1001, count - 8, count - 7, count - 1):
        assert drawn[index] == scalar_word(seed, "dropout", epoch, stream, index)


def test_no_two_addresses_share_a_draw():
    addresses = itertools.product((0, 1, 2**32), keyed.PURPOSES, (0, 1, 2**32), (0, 1, 256))
    draws = [keyed.words(s, p, e, 4, stream=t).tobytes() for s, p, e, t in addresses]
    assert len(set(draws)) == len(draws) == 135


@pytest.mark.parametrize(("dtype", "bits"), [("float32", 24), ("float64", 53)])
def test_uniform_numbers_are_multiples_of_the_last_bit_and_below_one(dtype, bits):
    drawn = keyed.uniform(3, "check", 0, 200_000, dtype)
    scaled = drawn.astype(np.float64) * 2.0**bits
    assert drawn.dtype == dtype
    assert (scaled == np.floor(scaled)).all()
    assert (scaled % 2 == 1).any(), "the last bit is used"
    assert drawn.min() >= 0
    assert drawn.max() < 1


def test_the_largest_words_still_give_numbers_below_one(monkeypatch):
    set_every_word(monkeypatch, 2**32 - 1)
    assert keyed.uniform(0, "check", 0, 1, "float32")[0] == np.float32(1 - 2**-24)
    assert keyed.uniform(0, "check", 0, 1, "float64")[0] == 1 - 2**-53
    assert np.isfinite(keyed.normal(0, "check", 0, 2)).all()


def test_the_smallest_words_give_a_finite_normal(monkeypatch):
    set_every_word(monkeypatch, 0)
    assert keyed.normal(0, "check", 0, 2).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", [0, 1, 2**63, 2**64 - 1])
def test_uniform_numbers_fill_a_thousand_bins_evenly(dtype, seed):
    drawn = keyed.uniform(seed, "check", 0, 200_000, dtype)
    counts = np.bincount((drawn * 1000).astype(int), minlength=1000)
    assert_chi_squared_is_ordinary(counts, 200.0)


def test_neighbouring_elements_epochs_streams_and_seeds_are_uncorrelated():
    count = 100_000
    base = keyed.uniform(5, "check", 1, count) - 0.5
    others = {
        "next element": np.roll(base, 1),
        "next epoch": keyed.uniform(5, "check", 2, count) - 0.5,
        "next stream": keyed.uniform(5, "check", 1, count, stream=1) - 0.5,
        "next seed": keyed.uniform(6, "check", 1, count) - 0.5,
    }
    for name, other in others.items():
        assert abs(np.corrcoef(base, other)[0, 1]) < 5 / math.sqrt(count), name


def test_an_element_depends_on_its_flat_index_and_not_on_the_shape():
    for draw in (keyed.uniform, keyed.normal):
        for dtype in ("float32", "float64"):
            flat = draw(1, "init", 0, 60, dtype, stream=4)
            assert np.array_equal(draw(1, "init", 0, (3, 4, 5), dtype, stream=4).ravel(), flat)
            assert np.array_equal(draw(1, "init", 0, 7, dtype, stream=4), flat[:7])
            assert draw(1, "init", 0, (), dtype, stream=4) == flat[0]
            assert draw(1, "init", 0, (3, 0), dtype).shape == (3, 0)


def test_a_dropout_draw_is_a_function_of_seed_step_and_stream():
    mask = keyed.uniform_like((8, 5), np.dtype("float32"), 9, 123, 2)
    assert mask.shape == (8, 5)
    assert mask[3, 1] == (scalar_word(9, "dropout", 123, 2, 16) >> 8) * 2.0**-24
    assert not np.array_equal(mask, keyed.uniform_like((8, 5), "float32", 9, 124, 2))
    assert not np.array_equal(mask, keyed.uniform_like((8, 5), "float32", 9, 123, 3))


def test_normal_numbers_have_normal_quantiles_and_moments():
    count = 400_000
    drawn = keyed.normal(11, "check", 0, count)
    quantiles = [statistics.NormalDist().inv_cdf(k / 100) for k in range(1, 100)]
    assert_chi_squared_is_ordinary(np.histogram(drawn, [-np.inf, *quantiles, np.inf])[0], 4000.0)
    for power, moment, variance in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        assert abs((drawn**power).mean() - moment) < 5 * math.sqrt(variance / count)


def test_normal_pairs_are_box_and_mullers_to_a_few_units_in_the_last_place():
    drawn = keyed.normal(2, "check", 3, 20_000).reshape(-1, 2)
    v = keyed.uniform(2, "check", 3, 20_000).reshape(-1, 2)
    radius = [math.sqrt(-2 * math.log(1 - u)) for u, _ in v]
    expected = [
        (r * math.cos(2 * math.pi * a), r * math.sin(2 * math.pi * a))
        for r, (_, a) in zip(radius, v, strict=True)
    ]
    # 2π a itself is rounded in the expectation: an absolute error of up to 2⁻⁵¹ times the radius.
    np.testing.assert_allclose(drawn, expected, rtol=1e-14, atol=8e-15)


def test_float32_normals_are_the_float64_normals_rounded():
    wide = keyed.normal(1, "init", 0, 1001)
    assert np.array_equal(keyed.normal(1, "init", 0, 1001, "float32"), wide.astype("float32"))


def test_normal_numbers_keep_the_bits_that_saved_seeds_stand_for():
    digest = hashlib.sha256()
    for dtype in ("float32", "float64"):
        digest.update(keyed.normal(3, "init", 0, 100_001, dtype, stream=5).tobytes())
    assert digest.hexdigest() == "4320e33afd1faf780af3b2c6d0da4f53c9f156da3c97f7b348a4c9fa92d758be"


def test_a_permutation_is_a_bijection_for_every_small_size():
    for n in range(2001):
        order = keyed.permutation(n, n % 7, n)
        assert order.dtype == np.int64
        assert np.array_equal(np.sort(order), np.arange(n)), n


@pytest.mark.parametrize("n", [60_000, 65_536, 65_537, 1_000_003])
def test_a_permutation_is_a_bijection_for_large_sizes(n):
    counts = np.bincount(keyed.permutation(2**64 - 1, 2**33, n), minlength=n)
    assert counts.tolist() == [1] * n


@pytest.mark.parametrize("n", [1, 2, 3, 5, 16, 17, 100, 1797, 60_000])
def test_each_entry_can_be_computed_alone(n):
    order = keyed.permutation(2**40 + 1, 6, n)
    for i in sorted({0, n // 3, n // 2, n - 1}):
        assert order[i] == scalar_position(2**40 + 1, 6, n, i)


@pytest.mark.parametrize(("n", "epochs"), [(2, 2000), (3, 2000), (4, 3000), (5, 6000)])
def test_all_orders_of_a_few_rows_are_equally_frequent(n, epochs):
    counts = Counter(tuple(keyed.permutation(1, e, n).tolist()) for e in range(epochs))
    assert len(counts) == math.factorial(n)
    assert_chi_squared_is_ordinary(np.array(list(counts.values())), epochs / len(counts))


def test_sixteen_rows_come_in_even_and_odd_orders_alike():
    def is_odd(order: np.ndarray) -> bool:
        return bool(sum((order[:i] > order[i]).sum() for i in range(order.size)) % 2)

    odd = sum(is_odd(keyed.permutation(8, epoch, 16)) for epoch in range(2000))
    assert abs(odd - 1000) < 5 * math.sqrt(500)


def test_every_row_is_as_likely_at_every_position():
    n, epochs = 13, 5200
    table = np.zeros((n, n), dtype=int)
    for epoch in range(epochs):
        table[np.arange(n), keyed.permutation(4, epoch, n)] += 1
    freedom = (n - 1) ** 2  # rows and columns of the table have fixed sums
    statistic = ((table - epochs / n) ** 2 / (epochs / n)).sum()
    assert abs(statistic - freedom) / math.sqrt(2 * freedom) < 5


def test_the_order_has_no_structure_within_or_across_epochs():
    n = 10_000
    rows = np.arange(n)
    for epoch in range(20):
        order, later = keyed.permutation(3, epoch, n), keyed.permutation(3, epoch + 1, n)
        pairs = {
            "position": (rows, order),
            "neighbour": (order[:-1], order[1:]),
            "next epoch": (order, later),
        }
        for name, (a, b) in pairs.items():
            assert abs(np.corrcoef(a, b)[0, 1]) < 5 / math.sqrt(n), (epoch, name)
        # |i − π(i)| of a random permutation: mean n/3, standard deviation of the average n
        # √(2/45)/√n.
        assert abs(np.abs(order - rows).mean() - n / 3) < 5 * math.sqrt(2 * n / 45)
        assert (order == rows).sum() < 12, "fixed points: one expected, Poisson"
        steps = Counter(np.diff(order).tolist()).most_common(1)[0][1]
        assert steps < 15, "no difference between neighbours recurs"


def test_split_and_shuffle_are_different_orders():
    assert not np.array_equal(
        keyed.permutation(0, 0, 50), keyed.permutation(0, 0, 50, purpose="split")
    )


def test_sixty_thousand_rows_are_ordered_within_twenty_milliseconds():
    seconds = []
    for epoch in range(7):
        start = time.perf_counter()
        keyed.permutation(0, epoch, 60_000)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.020


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, "7", None, True])
def test_a_seed_that_is_no_64_bit_number_is_refused(seed):
    with pytest.raises(ParameterError) as caught:
        keyed.permutation(seed, 0, 10)
    assert str(caught.value) == (
        f"seed must be an integer from 0 to 18446744073709551615, got {seed!r}"
    )


def test_seeds_may_be_numpy_integers():
    assert np.array_equal(
        keyed.permutation(np.uint64(2**64 - 1), 0, 9), keyed.permutation(2**64 - 1, 0, 9)
    )


def test_other_addresses_out_of_range_are_refused():
    with pytest.raises(ParameterError, match="epoch must be an integer from 0"):
        keyed.uniform(0, "init", -1, 3)
    with pytest.raises(ParameterError, match="stream must be an integer from 0 to 16777215"):
        keyed.uniform(0, "init", 0, 3, stream=2**24)
    with pytest.raises(ParameterError, match="n must be an integer from 0"):
        keyed.permutation(0, 0, -3)
    with pytest.raises(ParameterError, match="size must be an integer from 0"):
        keyed.normal(0, "init", 0, (3, -1))


def test_an_unknown_purpose_and_dtype_are_named():
    with pytest.raises(ParameterError, match=r"got 'shufle'\. Did you mean 'shuffle'\?"):
        keyed.permutation(0, 0, 3, purpose="shufle")
    with pytest.raises(DTypeError, match="float32 or float64, not float16"):
        keyed.uniform(0, "init", 0, 3, "float16")


def test_purposes_keep_the_numbers_that_saved_runs_depend_on():
    assert dict(keyed.PURPOSES) == {"init": 0, "shuffle": 1, "dropout": 2, "split": 3, "check": 4}
