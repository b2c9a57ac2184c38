"""Two hundred right backward passes in unusual styles: not one alarm."""

from __future__ import annotations

import chainrule as cr
from tests.diagnose.styles import passes

COUNT = 200


def test_right_passes_in_unusual_styles_raise_no_alarm():
    alarms = []
    for number, style in enumerate(passes(COUNT)):
        report = cr.check_backward(
            style.forward, style.backward, style.arrays, wrt=style.wrt, dtype=style.dtype,
            seed=number,
        )  # fmt: skip
        if not report.ok:
            alarms.append(f"{style.name}\n{report}")
    assert not alarms, "\n\n".join(alarms)
