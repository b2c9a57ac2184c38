"""The first step comes soon: the claim of the benchmark, with room for a busy machine."""

import pytest

from benchmarks import first_step
from benchmarks.first_step import CACHED, CLAIMS, COLD, Claim, main, pairs

ROOM = 3  # times the goal: machines are noisy, and a step that waits for the compiler takes longer
MOST_ATTEMPTS = 10


def best_within(claim, folder):
    """For each goal the best of several times, and how long it may be; ends when all are met."""
    best = dict.fromkeys(claim.goals, float("inf"))
    for attempt, found in enumerate(pairs(claim, folder), 1):
        best = {how: min(seconds, found[how]) for how, seconds in best.items()}
        within = {how: best[how] < ROOM * goal_s for how, goal_s in claim.goals.items()}
        if all(within.values()) or attempt == MOST_ATTEMPTS:
            return within
    return {}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_the_first_step_comes_soon(claim, tmp_path):
    assert best_within(claim, tmp_path) == {COLD: True, CACHED: True}


def test_what_takes_too_long_is_seen_and_ends_with_1(monkeypatch, tmp_path, capsys):
    slow = Claim("slow", lambda _: 1.0, {COLD: 0.3, CACHED: 2.0})
    assert best_within(slow, tmp_path) == {COLD: False, CACHED: True}
    monkeypatch.setattr(first_step, "CLAIMS", (slow,))
    assert main(["--rounds", "5"]) == 1
    assert "1000 ms" in capsys.readouterr().out
    fast = Claim("fast", lambda _: 0.001, {COLD: 0.3, CACHED: 2.0})
    monkeypatch.setattr(first_step, "CLAIMS", (fast,))
    assert main(["--rounds", "5"]) == 0


def test_the_second_of_a_pair_finds_the_code_of_the_first(tmp_path):
    seen = []

    def measure(environment):
        folder = environment["CHAINRULE_CACHE"]
        seen.append((folder, environment["PYTHONPYCACHEPREFIX"]))
        assert "PYTHONDONTWRITEBYTECODE" not in environment
        return 0.0

    endless = pairs(Claim("", measure, {}), tmp_path)
    next(endless), next(endless)
    folders = [folder for folder, _ in seen]
    assert folders[0::2] == folders[1::2]
    assert len(set(folders)) == 3
    assert len({bytecode for _, bytecode in seen}) == 1
