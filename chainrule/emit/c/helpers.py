"""Functions that stand before the kernels, each only where a kernel calls it."""

from __future__ import annotations

from collections.abc import Iterable

from chainrule.emit.llvm.functions import FUNCTIONS, c_name
from chainrule.emit.llvm.keyed import DROPOUT, KEY_STEPS, LOW, MULTIPLIERS, ROUNDS
from chainrule.emit.llvm.lanes import FLOAT64, Real, c_function, c_prelude

# {R} is the real type, {f} the suffix of literals and library functions, {name} what it is called.
_TEMPLATES = {
    "multiply_add": """\
/* x·y + z, rounded once where the processor can: then sums have the bits of the machine code. */
static inline {R} {name}({R} x, {R} y, {R} z) {{
#ifdef FP_FAST_FMA{F}
  return fma{f}(x, y, z);
#else
  return x * y + z;
#endif
}}
""",
    "maximum": """\
/* The larger one, the first of equal ones; NaN wins. */
static inline {R} {name}({R} x, {R} y) {{ return x >= y || isnan(x) ? x : y; }}
""",
    "minimum": """\
/* The smaller one, the first of equal ones; NaN wins. */
static inline {R} {name}({R} x, {R} y) {{ return x <= y || isnan(x) ? x : y; }}
""",
    "sign": """\
/* -1, 0 or 1 (0 of -0 as well); NaN stays. */
static inline {R} {name}({R} x) {{ return x < 0 ? -1 : x > 0 ? 1 : x + 0; }}
""",
    "above": """\
/* Whether x beats the largest so far, which wins when equal; NaN beats all and stays. */
static inline int {name}({R} x, {R} best) {{ return !(x <= best) && !isnan(best); }}
""",
    "below": """\
/* Whether x beats the smallest so far, which wins when equal; NaN beats all and stays. */
static inline int {name}({R} x, {R} best) {{ return !(x >= best) && !isnan(best); }}
""",
    "carry": """\
/* Add a leaf: where the bit of its number is 1, the sum that waits there is taken along. */
static inline void {name}({R} *waiting, int64_t number, {R} sum) {{
  int level = 0;
  for (; number >> level & 1; level++) {{
    sum = waiting[level] + sum;
  }}
  waiting[level] = sum;
}}
""",
    "total": """\
/* The sums that still wait after all leaves, the smallest first. */
static inline {R} {name}(const {R} *waiting, int64_t leaves) {{
  int level = 0;
  while (!(leaves >> level & 1)) {{
    level++;
  }}
  {R} sum = waiting[level];
  for (level++; leaves >> level; level++) {{
    if (leaves >> level & 1) {{
      sum = waiting[level] + sum;
    }}
  }}
  return sum;
}}
""",
}

_PHILOX = """\
/* Word number `index` under a key: Philox4x32-10, Salmon et al. 2011, "Parallel random numbers: as
 * easy as 1, 2, 3". */
static inline uint64_t chainrule_word(uint64_t key, uint64_t index, uint64_t stream) {{
  const uint64_t low = {LOW:#x}u;
  uint64_t c[4] = {{index >> 2, 0, 0, {DROPOUT}u + 256u * stream}};
  uint64_t k[2] = {{key & low, key >> 32}};
  for (int round = 0; round < {ROUNDS}; round++) {{
    const uint64_t p = c[0] * {M0:#x}u;
    const uint64_t q = c[2] * {M1:#x}u;
    c[0] = (q >> 32) ^ c[1] ^ k[0];
    c[2] = (p >> 32) ^ c[3] ^ k[1];
    c[1] = q & low;
    c[3] = p & low;
    k[0] = (k[0] + {K0:#x}u) & low;
    k[1] = (k[1] + {K1:#x}u) & low;
  }}
  return c[index & 3];
}}
"""
_UNIFORM_32 = """\
/* A number in [0, 1) that depends on the key and its place alone. */
static inline float {name}(uint64_t key, uint64_t place, uint64_t stream) {{
  return (float)(chainrule_word(key, place, stream) >> 8) * 0x1p-24f;
}}
"""
_UNIFORM_64 = """\
/* A number in [0, 1) that depends on the key and its place alone. */
static inline double {name}(uint64_t key, uint64_t place, uint64_t stream) {{
  const uint64_t high = chainrule_word(key, 2 * place, stream) << 32;
  return (double)((high | chainrule_word(key, 2 * place + 1, stream)) >> 11) * 0x1p-53;
}}
"""


def helpers(used: Iterable[tuple[str, Real]]) -> str:
    """The text of the functions that are used, one after the other.

    Args:
        used: what each is called, and its float type.
    """
    wanted = set(used)
    parts = []
    for real in sorted({real for _, real in wanted}, key=lambda real: real.bits):
        names = {name for name, other in wanted if other is real}
        if names & set(FUNCTIONS):
            parts += [f"/* The bits of a number, and back. */\n{c_prelude(real)}"]
        parts += [_template(name, real) for name in _TEMPLATES if name in names]
        parts += [_described(name, real) for name in FUNCTIONS if name in names]
        if "uniform" in names:
            parts += [_random(real)]
    return "\n".join(parts)


def _template(name: str, real: Real) -> str:
    f = real.c_suffix
    return _TEMPLATES[name].format(R=real.c, f=f, F=f.upper(), name=c_name(name, real))


def _described(name: str, real: Real) -> str:
    """One of the functions that kernels share with the machine code."""
    says = FUNCTIONS[name].__doc__ or ""
    first = " ".join(says.split("\n\n")[0].split())
    return f"/* {first} */\n{c_function(c_name(name, real), FUNCTIONS[name], real)}"


def _random(real: Real) -> str:
    words = {"M0": MULTIPLIERS[0], "M1": MULTIPLIERS[1], "K0": KEY_STEPS[0], "K1": KEY_STEPS[1]}
    philox = _PHILOX.format(LOW=LOW, DROPOUT=DROPOUT, ROUNDS=ROUNDS, **words)
    uniform = _UNIFORM_64 if real is FLOAT64 else _UNIFORM_32
    return f"{philox}\n{uniform.format(name=c_name('uniform', real))}"
