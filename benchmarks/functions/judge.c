/* References in double (for float) and long double (for double), and the comparison.
   cc -O2 -march=native -ffp-contract=off -fno-math-errno -shared -fPIC judge.c -o judge.so -lquadmath -lm */
#include <math.h>
#include <quadmath.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE__
#include <xmmintrin.h>
unsigned mxcsr(void) { return _mm_getcsr(); }
#else
unsigned mxcsr(void) { return 0; }
#endif

typedef long double wide;
static wide ref_exp(wide x) { return expl(x); }
static wide ref_log(wide x) { return logl(x); }
static wide ref_log1p(wide x) { return log1pl(x); }
static wide ref_expm1(wide x) { return expm1l(x); }
static wide ref_tanh(wide x) { return tanhl(x); }
static wide ref_sigmoid(wide x) { return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x)); }
static wide ref_softplus(wide x) { return fmaxl(x, 0) + (isnan(x) ? x : log1pl(expl(-fabsl(x)))); }
static wide ref_erf(wide x) { return erfl(x); }
/* Quadruple precision: e^(-x^2/2) multiplies the rounding of x/sqrt(2) by x^2, which is up to 1500. */
static wide ref_gelu(wide x) {
    const __float128 half_root = 0.707106781186547524400844362104849039Q;
    return x == -INFINITY ? -0.0L : (wide)(x * 0.5Q * erfcq(-(__float128)x * half_root));
}
static wide (*const REFERENCES[])(wide) = {ref_exp, ref_log, ref_log1p, ref_expm1, ref_tanh,
                                           ref_sigmoid, ref_softplus, ref_erf, ref_gelu};

void reference64(int which, const double *x, wide *y, int64_t n) {
    for (int64_t i = 0; i < n; ++i) y[i] = REFERENCES[which](x[i]);
}

/* erf and gelu of floats in double: their own error is below 2^-20 of a float ULP. */
void erf_double(const float *x, double *y, int64_t n) {
    for (int64_t i = 0; i < n; ++i) y[i] = erf((double)x[i]);
}
void gelu_double(const float *x, double *y, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
        const double t = x[i];
        y[i] = x[i] < -40 ? -0.0 : x[i] > 40 ? t : 0.5 * t * erfc(t * -0.70710678118654752440);
    }
}

/* The worst error in ULP of the reference, and where. Counted as 1e9: a NaN on one side only, a
   wrong sign (of zero too), an infinity where the exact result is not beside the largest number,
   and anything but the exact result where that is 0 or infinite. */
#define JUDGE(NAME, REAL, REF, FRACTION, EMIN, LARGEST)                                     \
    static double error_##NAME(REAL y, REF r) {                                             \
        if (r != r || y != y) return r != r && y != y ? 0 : 1e9;                            \
        if (!signbit(y) != !signbit(r)) return 1e9;                                         \
        const REAL nearest = (REAL)r;                                                       \
        if (y == nearest) {                                                                 \
            if (y == 0 || isinf(y)) return 0;                                               \
        } else if (r == 0 || isinf(r)) {                                                    \
            return 1e9;                                                                     \
        } else if (isinf(y) || isinf(nearest)) {                                            \
            const REAL finite = isinf(y) ? nearest : y;                                     \
            return (finite < 0 ? -finite : finite) == LARGEST ? 1 : 1e9;                    \
        }                                                                                   \
        int e;                                                                              \
        frexp((double)nearest, &e);                                                         \
        e = nearest == 0 || e - 1 < EMIN ? EMIN : e - 1;                                    \
        const REF d = (REF)y - r;                                                           \
        return ldexp((double)(d < 0 ? -d : d), FRACTION - e);                               \
    }                                                                                       \
    double NAME(const REAL *x, const REAL *y, const REF *r, int64_t n, REAL *where) {       \
        double worst = 0;                                                                   \
        for (int64_t i = 0; i < n; ++i) {                                                   \
            const double err = error_##NAME(y[i], r[i]);                                    \
            if (err > worst) worst = err, *where = x[i];                                    \
        }                                                                                   \
        return worst;                                                                       \
    }
JUDGE(judge32, float, double, 23, -126, 3.4028234663852886e38f)
JUDGE(judge64, double, wide, 52, -1022, 1.7976931348623157e308)
