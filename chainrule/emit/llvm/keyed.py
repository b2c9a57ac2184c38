"""Keyed random numbers as instructions: the words of `chainrule.run.keyed`, lane by lane.

The counter of element i is (block, 0, 0, purpose + 256 · stream); see that module for the layout.
"""

from __future__ import annotations

from chainrule.emit.llvm.builder import FLOAT, Builder, Val

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)  # Salmon et al. 2011, section 4.3
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
LOW = 0xFFFFFFFF
DROPOUT = 2  # number of the purpose


def uniform(b: Builder, key: Val, index: Val, stream: int) -> Val:
    """Numbers in [0, 1) for whole-number indices, under a key of 64 bits.

    float32 takes the 24 upper bits of word i, float64 the 53 upper bits of words 2i and 2i + 1.
    """
    word = index if b.bits == 32 else _op(b, "mul", index, 2)
    counter = [
        _op(b, "lshr", word, 2),
        b.whole(0),
        b.whole(0),
        b.whole(DROPOUT + 256 * stream),
    ]
    keys = (_op(b, "and", key, LOW), _op(b, "lshr", key, 32))
    words = _philox(b, counter, keys)
    place = _op(b, "and", word, 3)
    if b.bits == 32:
        return _scaled(b, _op(b, "lshr", _pick(b, words, place), 8), 2.0**-24)
    high, low = _pick(b, words, place), _pick(b, words, _op(b, "add", place, 1))
    joined = b.binary("or", _op(b, "shl", high, 32), low)
    return _scaled(b, _op(b, "lshr", joined, 11), 2.0**-53)


def _philox(b: Builder, counter: list[Val], key: tuple[Val, Val]) -> list[Val]:
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        p0, p1 = _op(b, "mul", c0, MULTIPLIERS[0]), _op(b, "mul", c2, MULTIPLIERS[1])
        c0 = b.binary("xor", b.binary("xor", _op(b, "lshr", p1, 32), c1), k0)
        c2 = b.binary("xor", b.binary("xor", _op(b, "lshr", p0, 32), c3), k1)
        c1, c3 = _op(b, "and", p1, LOW), _op(b, "and", p0, LOW)
        k0 = _op(b, "and", _op(b, "add", k0, KEY_STEPS[0]), LOW)
        k1 = _op(b, "and", _op(b, "add", k1, KEY_STEPS[1]), LOW)
    return [c0, c1, c2, c3]


def _op(b: Builder, word: str, x: Val, constant: int) -> Val:
    return b.binary(word, x, b.whole(constant))


def _pick(b: Builder, words: list[Val], place: Val) -> Val:
    found = words[0]
    for i, word in enumerate(words[1:], 1):
        found = b.select(b.compare("eq", place, b.whole(i)), word, found)
    return found


def _scaled(b: Builder, whole: Val, unit: float) -> Val:
    kind, target = b.type(whole.kind, whole.vector), b.type(FLOAT, whole.vector)
    real = Val(
        b.op(f"uitofp {kind} {whole.ssa} to {target}", whole.depth),
        FLOAT,
        whole.vector,
        whole.depth,
    )
    return b.binary("fmul", real, b.number(unit))
