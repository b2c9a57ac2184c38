"""The constants of the machine code's functions are computed, not written by hand."""

import pytest
from mpmath import mp

from tools import coefficients


@pytest.mark.slow
def test_committed_tables_are_what_would_be_computed():
    assert coefficients.TABLES.read_text("utf-8") == coefficients.text()


def test_a_polynomial_through_chebyshev_nodes_is_the_function_there():
    exp = next(fit for fit in coefficients.FITS if fit.name == "EXP")
    found = coefficients.interpolate(exp, 32, 5)
    for x in coefficients.chebyshev_nodes(exp.low[32], exp.high[32], 6):
        assert abs(coefficients.value_at(found, x) - exp.function(x)) < mp.mpf(10) ** -60
    assert coefficients.worst_error(exp, 32, found) < 2.0 ** -coefficients.TARGET_BITS[32]
    assert coefficients.worst_error(exp, 32, found[:-1]) > 2.0 ** -coefficients.TARGET_BITS[32]
