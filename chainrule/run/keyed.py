"""Random numbers as pure functions of (seed, purpose, epoch, stream, index).

There is no generator object and no state: a number depends on what it is for, never on who asked
first. So results are the same for any number of threads, after a resume, and in compiled loops,
which compute the same words one by one.

The words come from Philox4x32-10: Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as
easy as 1, 2, 3". A block of four 32-bit words is the image of a 128-bit counter under a 64-bit key:

    key     = seed
    counter = (block, epoch mod 2³², epoch div 2³², purpose + 256 · stream)

`epoch` is an epoch for the order of rows, a step for dropout and 0 for what is drawn once; `stream`
tells apart draws of one purpose, such as the parameters of a network. Word i of a draw is word i
mod 4 of block i div 4.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from chainrule.errors import DTypeError, ParameterError, did_you_mean

# Saved runs depend on these numbers: add new purposes at the end, never renumber.
PURPOSES: Final = {"init": 0, "shuffle": 1, "dropout": 2, "split": 3, "check": 4}

# Multipliers and key increments: Salmon et al. 2011, section 4.3, and the reference code.
MULTIPLIERS: Final = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS: Final = (0x9E3779B9, 0xBB67AE85)
PHILOX_ROUNDS: Final = 10
WORD: Final = 0xFFFFFFFF
HALF_WORDS: Final = np.uint64(32)

MAX_STREAM: Final = 2**24 - 1
BLOCKS_PER_CHUNK: Final = 2**12  # the eight working arrays of a chunk stay within a level-2 cache

FEISTEL_ROUNDS: Final = (
    20  # with sixteen or fewer, the 720 orders of six rows are not equally frequent
)

# Of a float64: how many bits its fraction has, and all bits of √½.
FRACTION_BITS: Final = 52
ROOT_HALF: Final = int(np.float64(math.sqrt(0.5)).view(np.int64))

Words = NDArray[np.uint64]
Quad = tuple[Words, Words, Words, Words]
Floats = NDArray[Any]


def philox4x32(
    counter: tuple[Words | int, Words | int, Words | int, Words | int], key: tuple[int, int]
) -> tuple[Words, Words, Words, Words]:
    """The four 32-bit words of each counter under one key, as uint64 arrays below 2³².

    Counter words broadcast against each other. Source: Salmon et al. 2011, section 4.3.

    >>> [f"{int(word):08x}" for word in philox4x32((0, 0, 0, 0), (0, 0))]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    c0, c1, c2, c3 = (np.asarray(word, dtype=np.uint64) for word in counter)
    k0, k1 = key
    m0, m1 = (np.uint64(m) for m in MULTIPLIERS)
    low = np.uint64(WORD)
    for _ in range(PHILOX_ROUNDS):
        p0, p1 = m0 * c0, m1 * c2
        c0 = (p1 >> HALF_WORDS) ^ c1 ^ np.uint64(k0)
        c2 = (p0 >> HALF_WORDS) ^ c3 ^ np.uint64(k1)
        c1, c3 = p1 & low, p0 & low
        k0, k1 = (k0 + KEY_STEPS[0]) & WORD, (k1 + KEY_STEPS[1]) & WORD
    return c0, c1, c2, c3


def words(seed: int, purpose: str, epoch: int, count: int, *, stream: int = 0) -> Words:
    """Words 0 … count − 1 of one draw, each uniform in 0 … 2³² − 1, as uint64.

    Raises:
        ParameterError: seed or epoch outside 0 … 2⁶⁴ − 1, stream outside 0 … 2²⁴ − 1, an unknown
            purpose.

    >>> [f"{int(word):08x}" for word in words(0, "init", 0, 3)]
    ['6627e8d5', 'e169c58d', 'bc57ac4c']
    """
    # counter word 0 holds the block: at most 2³² of them
    blocks = -(-_whole("count", count, 2**34) // 4)
    out = np.empty((blocks, 4), dtype=np.uint64)
    for chunk, quad in _quads(seed, purpose, epoch, stream, blocks):
        for column, word in enumerate(quad):
            out[chunk, column] = word
    return out.reshape(-1)[:count]


def _quads(
    seed: int, purpose: str, epoch: int, stream: int, blocks: int
) -> Iterator[tuple[slice, Quad]]:
    """Blocks 0 … blocks − 1 of one draw, chunk after chunk: which they are, and their words."""
    key, fixed = _address(seed, purpose, epoch, stream)
    for start in range(0, blocks, BLOCKS_PER_CHUNK):
        stop = min(start + BLOCKS_PER_CHUNK, blocks)
        block = np.arange(start, stop, dtype=np.uint64)
        yield slice(start, stop), philox4x32((block, *fixed), key)


def keys(seed: int, purpose: str, epoch: int, count: int) -> Words:
    """Keys of 64 bits for `count` epochs from `epoch` on: 2³² · word 0 + word 1 of each.

    Raises: as `words`.

    >>> first, second = words(3, "dropout", 8, 2)
    >>> int(keys(3, "dropout", 7, 2)[1]) == int(first) << 32 | int(second)
    True
    """
    key, (_, _, c3) = _address(seed, purpose, epoch, 0)
    epochs = np.arange(epoch, epoch + count, dtype=np.uint64)
    first, second, *_ = philox4x32((0, epochs & np.uint64(WORD), epochs >> HALF_WORDS, c3), key)
    return first << HALF_WORDS | second


def uniform(
    seed: int,
    purpose: str,
    epoch: int,
    shape: int | tuple[int, ...],
    dtype: DTypeLike = np.float64,
    *,
    stream: int = 0,
) -> Floats:
    """Numbers uniform in [0, 1); element i, in C order, depends on its index i alone.

    float32 takes the 24 upper bits of word i; float64 the 53 upper bits of 2³² · word 2i + word
    2i+1. Every value is a multiple of 2⁻²⁴ or 2⁻⁵³, so 1 is never reached and 0 is as likely as any
    other.

    Raises:
        ParameterError: see `words`.
        DTypeError: a dtype other than float32 and float64.

    >>> uniform(7, "check", 0, 3) == uniform(7, "check", 0, (2, 2)).reshape(-1)[:3]
    array([ True,  True,  True])
    """
    kind, size = float_type(dtype), _size(shape)
    if kind == np.float32:
        upper = words(seed, purpose, epoch, size, stream=stream) >> np.uint64(8)
        return (upper.astype(np.float32) * np.float32(2**-24)).reshape(shape)
    pairs = words(seed, purpose, epoch, 2 * size, stream=stream)
    return _fractions(pairs[0::2], pairs[1::2]).reshape(shape)


def uniform_like(
    shape: tuple[int, ...], dtype: DTypeLike, seed: int, step: int, stream: int
) -> Floats:
    """The numbers in [0, 1) behind a dropout mask: element i, in C order, depends on i alone.

    >>> (uniform_like((2, 3), "float32", seed=1, step=5, stream=0) < 1).all()
    np.True_
    """
    return uniform(seed, "dropout", step, shape, dtype, stream=stream)


def normal(
    seed: int,
    purpose: str,
    epoch: int,
    shape: int | tuple[int, ...],
    dtype: DTypeLike = np.float64,
    *,
    stream: int = 0,
) -> Floats:
    """Standard normal numbers; element i, in C order, depends on its index i alone.

    Block j gives elements 2j and 2j+1: r cos 2πv and r sin 2πv with r = √(−2 ln u), u in (0, 1] and
    v in [0, 1) of 53 bits each. Source: Box & Muller 1958. Everything is computed in float64 with +
    − × ÷ √ only, which IEEE 754 rounds alike on every machine, so the same seed gives the same bits
    everywhere; float32 is the float64 number rounded.

    Raises: as `uniform`.

    >>> normal(7, "check", 0, 2).shape
    (2,)
    """
    kind, size = float_type(dtype), _size(shape)
    pairs = np.empty((-(-size // 2), 2), kind)
    for chunk, quad in _quads(seed, purpose, epoch, stream, len(pairs)):
        _box_muller(quad, pairs[chunk].T)
    return pairs.reshape(-1)[:size].reshape(shape)


def _box_muller(quad: Quad, pairs: Floats) -> None:
    """Four words each to two normal numbers each."""
    r = np.sqrt(-2.0 * _log(1.0 - _fractions(quad[0], quad[1])))
    cosine, sine = _cos_sin_turns(_fractions(quad[2], quad[3]))
    pairs[0] = r * cosine
    pairs[1] = r * sine


def permutation(seed: int, epoch: int, n: int, *, purpose: str = "shuffle") -> NDArray[np.int64]:
    """An order of 0 … n − 1 in which position i can be computed without the others.

    Entry i is found in three steps. Rotate: x = (i + k) mod n with a keyed k. Mix: a Feistel
    network on the bits of x, `right` its lower ⌈b/2⌉ bits, `left` the upper ⌊b/2⌋, 2ᵇ the least
    power of two that is ≥ n: round r replaces one half, left first and then in turn, by its
    exclusive or with word number (other half) of stream r. Walk: while the result is ≥ n, mix again
    (cycle walking: Black & Rogaway 2002). k is 2³² · word 0 + word 1 of the stream after the last
    round, modulo n; without it only even permutations would be reached when n is a power of two
    above 8.

    A half takes at most √(2n) values, so the words are laid out as small tables here.

    Raises:
        ParameterError: see `words`; n negative or above 2⁵⁰.

    >>> sorted(permutation(3, 0, 5).tolist())
    [0, 1, 2, 3, 4]
    """
    n = _whole("n", n, 2**50)
    if n == 0:
        return np.empty(0, dtype=np.int64)
    bits = (n - 1).bit_length()
    right_bits = bits - bits // 2
    *rounds, rotation = _stream_words(seed, purpose, epoch, FEISTEL_ROUNDS + 1, 1 << right_bits)
    tables = [
        table & ((1 << half) - 1)
        for table, half in zip(rounds, (bits // 2, right_bits) * (FEISTEL_ROUNDS // 2), strict=True)
    ]
    k = (int(rotation[0]) << 32 | int(rotation[1])) % n
    x = _mix((np.arange(n, dtype=np.int64) + k) % n, right_bits, tables)
    outside = np.flatnonzero(x >= n)
    while outside.size:
        x[outside] = _mix(x[outside], right_bits, tables)
        outside = outside[x[outside] >= n]
    return x


def _mix(
    x: NDArray[np.int64], right_bits: int, tables: list[NDArray[np.int64]]
) -> NDArray[np.int64]:
    """The Feistel network of `permutation` on every element of x."""
    left, right = x >> right_bits, x & ((1 << right_bits) - 1)
    for of_right, of_left in zip(tables[0::2], tables[1::2], strict=True):
        left ^= of_right[right]
        right ^= of_left[left]
    return left << right_bits | right


def _stream_words(
    seed: int, purpose: str, epoch: int, streams: int, count: int
) -> NDArray[np.int64]:
    """The first words, at least `count`, of streams 0 … streams − 1: one row a stream."""
    key, (c1, c2, c3) = _address(seed, purpose, epoch, 0)
    block = np.arange(-(-count // 4), dtype=np.uint64)
    stream = np.arange(streams, dtype=np.uint64)[:, None]
    quads = philox4x32((block, c1, c2, np.uint64(c3) | stream << np.uint64(8)), key)
    return np.stack(quads, axis=-1).reshape(streams, -1).astype(np.int64)


def _fractions(upper: Words, lower: Words) -> NDArray[np.float64]:
    """The 53 upper bits of two words as a multiple of 2⁻⁵³ in [0, 1)."""
    return ((upper << HALF_WORDS | lower) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _log(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Natural logarithm for u in (0, 1], to a few units in the last place.

    u = 2ᵉ m with m in [√½, √2), and ln m = 2 artanh s with s = (m − 1)/(m + 1), |s| ≤ 0.172: eleven
    terms of its series leave a remainder below 2⁻⁵⁶.
    """
    bits = u.view(np.int64)
    # the order of positive numbers is that of their bits, and e is in the upper eleven
    e = (bits - ROOT_HALF) >> FRACTION_BITS
    m = (bits - (e << FRACTION_BITS)).view(np.float64)
    s = (m - 1.0) / (m + 1.0)
    series = _polynomial(s * s, [1.0 / (2 * k + 1) for k in range(11)])
    return np.asarray(e * math.log(2.0) + 2.0 * s * series)


def _cos_sin_turns(v: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """cos 2πv and sin 2πv for v in [0, 1): Taylor series within π/4 of the nearest quarter turn."""
    quarter = np.rint(4.0 * v)
    angle = (4.0 * v - quarter) * (math.pi / 2.0)
    square = angle * angle
    cosine = _polynomial(square, [(-1.0) ** k / math.factorial(2 * k) for k in range(9)])
    sine = angle * _polynomial(square, [(-1.0) ** k / math.factorial(2 * k + 1) for k in range(9)])
    turned = quarter.astype(np.int64)
    odd = (turned & 1).astype(bool)
    # quarters 1 and 2 have a negative cosine, 2 and 3 a negative sine; 4 is 0 again
    return (
        _negated(np.where(odd, sine, cosine), turned + 1 & 2),
        _negated(np.where(odd, cosine, sine), turned & 2),
    )


def _negated(x: NDArray[np.float64], where: NDArray[np.int64]) -> NDArray[np.float64]:
    """-x where `where` is 2, x where it is 0: bit 1 goes to the sign."""
    return (x.view(np.int64) ^ where << 62).view(np.float64)


def _polynomial(x: NDArray[np.float64], coefficients: list[float]) -> NDArray[np.float64]:
    """Σ coefficients[k] xᵏ by Horner's rule."""
    total = np.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total *= x
        total += coefficient
    return total


def _address(
    seed: int, purpose: str, epoch: int, stream: int
) -> tuple[tuple[int, int], tuple[int, int, int]]:
    """The Philox key, and the counter words 1, 2, 3, of a draw."""
    if purpose not in PURPOSES:
        raise ParameterError(
            f"purpose must be one of {', '.join(PURPOSES)}, got {purpose!r}",
            hint=did_you_mean(str(purpose), PURPOSES),
        )
    seed = _whole("seed", seed, 2**64 - 1)
    epoch = _whole("epoch", epoch, 2**64 - 1)
    stream = _whole("stream", stream, MAX_STREAM)
    return (seed & WORD, seed >> 32), (epoch & WORD, epoch >> 32, PURPOSES[purpose] | stream << 8)


def _whole(name: str, value: int, largest: int) -> int:
    """`value` as an int in 0 … largest; NumPy integers are welcome, bool and floats are not."""
    try:
        whole = -1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        whole = -1
    if not 0 <= whole <= largest:
        raise ParameterError(f"{name} must be an integer from 0 to {largest}, got {value!r}")
    return whole


def float_type(dtype: DTypeLike) -> np.dtype[Any]:
    """The dtype, if it is float32 or float64; else DTypeError."""
    kind = np.dtype(dtype)
    if kind not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise DTypeError(f"random numbers are float32 or float64, not {kind}")
    return kind


def _size(shape: int | tuple[int, ...]) -> int:
    sizes = shape if isinstance(shape, tuple) else (shape,)
    return math.prod(_whole("size", size, 2**34) for size in sizes)
