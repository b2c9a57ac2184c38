"""What people see of a derivation: shapes, reasons, what is read, on every page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import chainrule as cr
from chainrule.cli import main
from chainrule.emit.plain import plain, width
from chainrule.explain.layout import rows
from chainrule.explain.rules import primed
from chainrule.explain.steps import Section, Steps
from chainrule.ops import OPS, replaced
from tests.check import nets
from tests.explain.randomnets import random_net
from tests.mutants import mutants

ROOT = Path(__file__).parents[2]
NET = ROOT / "examples/cs230/two_sigmoid.net"
PAGE = ROOT / "docs/derivations.md"
BLOCK = re.compile(r"```console\n\$ (chainrule derive [^\n]*--steps[^\n]*)\n(.*?)```", re.S)


def section(steps: Steps, of: str) -> Section:
    (found,) = [s for s in steps.sections if s.of == of]
    return found


def shapes(part: Section, number: int) -> list[tuple[str, ...]]:
    return [factor.axes for factor in part.steps[number].factors if factor.axes]


@pytest.fixture(scope="module")
def two_sigmoid() -> Steps:
    return cr.derive(NET).steps()


@pytest.mark.seed("003-14", "003-16")
def test_beneath_every_factor_stands_its_shape(two_sigmoid):
    part = section(two_sigmoid, "W_1")
    assert [step.rule for step in part.steps] == [
        "chain rule (Leibniz)", "chain rule (functions)", "linearity", "contraction",
        "substitution",
    ]  # fmt: skip
    assert shapes(part, 3) == [("k", "m"), ("m", "n")]
    assert shapes(part, 4) == [("k", "1"), ("1", "m"), ("k", "m"), ("k", "m"), ("m", "n")]
    assert part.steps[0].factors[1].onto == ("k", "n")
    assert r"\underset{m \times n}{X^\intercal}" in part.steps[3].written.shaped()


def test_neighbouring_factors_of_a_product_share_the_axis_between_them():
    for seed in range(40):
        for step in cr.derive(random_net(seed)).steps():
            if (
                step.rule == "contraction"
                and len(step.factors) == 2
                and step.factors[1].onto is None
            ):
                left, right = (factor.axes for factor in step.factors)
                assert left[-1] == right[0], step.line


def test_the_line_of_a_contraction_says_where_the_transpose_comes_from(two_sigmoid):
    assert section(two_sigmoid, "W_1").steps[3].why == (
        "W₁ is k×n, ∂L/∂Z is k×m, X is n×m: only (k×m)(m×n) gives k×n, and the sum runs over m."
    )


@pytest.mark.seed("003-13")
def test_a_broadcast_bias_receives_the_sum_over_examples():
    part = section(cr.derive(ROOT / "examples/cs230/two_linear.net").steps(), "b_1")
    assert [s.rule for s in part.steps][-2:] == ["broadcast → sum", "substitution"]
    assert shapes(part, 3) == [("k", "m"), ("m", "1")]
    assert part.steps[3].line == r"\frac{\partial\mathcal{L}}{\partial Z}\vec{1}"
    assert "used at every m" in part.steps[3].why


@pytest.mark.seed("003-10", "000-21")
def test_what_the_forward_pass_stored_is_marked_and_what_is_used_again_is_listed(two_sigmoid):
    part = section(two_sigmoid, "Z")
    assert part.reads.stored == (r"\hat{y}", "A")
    assert part.reads.inputs == ("w_2", "y")
    assert part.reads.derivatives == (r"\frac{\partial\mathcal{L}}{\partial A}",)
    last = {factor.tex: factor.stored for factor in part.steps[-1].factors}
    assert last["A"] == last["(1 - A)"] == ("A",)
    assert last[r"w_2^\intercal"] == ()
    assert r"\underset{k \times m\,\bullet}{A}" in part.steps[-1].written.shaped()


@pytest.mark.seed("000-14", "000-15", "001-09")
def test_the_chain_rule_is_spelled_in_both_ways_for_the_step_at_hand(two_sigmoid):
    leibniz, functions = section(two_sigmoid, "W_1").steps[:2]
    assert leibniz.written.text == "∂L/∂Z · ∂Z/∂W₁"
    assert functions.written.text == "g′(f(W₁)) · f′(W₁)"
    assert "f(x) = W₁ X + b₁ = Z" in functions.why
    d = cr.derive(NET)
    for spelling, other in (("leibniz", "functions"), ("function", "Leibniz")):
        steps = d.steps(spelling=spelling)
        assert len(steps) == len(two_sigmoid) - 6
        assert not any(other in step.rule for step in steps)


@pytest.mark.seed("001-09", "001-10", "001-11", "001-12", "001-13")
def test_the_three_factors_of_the_notes_come_out():
    net = "net notes\nparam w:\nparam b:\ninput p:\ninput y:\nz = w * p + b\na = sigmoid(z)\n"
    steps = cr.derive(cr.parse_net(f"{net}return square(a - y)")).steps(spelling="leibniz")
    assert section(steps, "w").way == ("w", "z", "a", r"\mathcal{L}")
    assert section(steps, "a").steps[-1].written.text == "2(a - y)"
    assert section(steps, "z").steps[1].written.text == "∂L/∂a σ′(z)"
    assert section(steps, "w").steps[2].written.text == "∂L/∂z p"
    assert section(steps, "b").steps[1].written.text == "∂L/∂z"


@pytest.mark.seed("000-18", "000-20", "000-21")
def test_the_chain_net_has_the_two_recurrences_and_uses_derivatives_again():
    steps = cr.derive(ROOT / "examples/chain.net").steps(spelling="leibniz")
    weight = [step.written.text for step in section(steps, "w_2").steps]
    assert weight[1].startswith("∂L/∂h₂ σ′(w₂ h₁ + b₂) · ")
    assert weight[-2:] == ["∂L/∂h₂ h₂(1 - h₂)h₁", "∂L/∂b₂ h₁"]
    assert section(steps, "h_1").steps[-2].written.text == "∂L/∂h₂ h₂(1 - h₂)w₂"
    order = [s.of for s in steps.sections]
    assert order[0] == "h_4"
    assert order.index("h_3") < order.index("h_2") < order.index("w_2")


@pytest.mark.seed("001-15")
def test_paths_add_up_where_a_value_acts_in_several_ways():
    net = "net skip\nparam W: n n2\ninput X: n2 m\ninput y: n m\nA = tanh(W @ X)\nB = sigmoid(A)\n"
    steps = cr.derive(cr.parse_net(f"{net}R = A + B\nreturn mse(R * A, y)")).steps()
    first = section(steps, "A").steps[0]
    assert first.rule == "sum of paths (Leibniz)"
    assert first.written.text == "∂/∂A (1/m)‖R ⊙ A - y‖² + ∂L/∂R · ∂R/∂A + ∂L/∂B · ∂B/∂A"
    assert steps.check().ok


def test_only_shows_a_derivative_and_what_leads_to_it():
    d = cr.derive(NET)
    assert [s.of for s in d.steps(only="w_2").sections] == ["y_hat", "w_2"]
    assert [s.of for s in d.steps(only="Z").sections] == ["y_hat", "A", "Z"]
    with pytest.raises(cr.ChainruleError, match=r"no derivative with respect to 'W1'.*'W_1'"):
        d.steps(only="W1")
    with pytest.raises(cr.ChainruleError, match="spelling 'leibnitz' is not known"):
        d.steps(spelling="leibnitz")


def test_the_letters_of_the_chain_rule_are_not_those_of_values():
    net = "net f\nparam f:\ninput x:\ninput y:\nh = tanh(f * x)\ng = h + 1\nreturn square(g - y)"
    steps = cr.derive(cr.parse_net(net)).steps("h")
    (why,) = [s.why for s in steps if s.of == "h" and s.rule == "chain rule (functions)"]
    assert why.startswith("L = F(t) = G(q(t)) with t = h, q(t) = h + 1 = g, and G everything")


def test_values_without_names_get_some_whatever_letters_are_taken():
    params = "".join(f"param {c}_1: k n\n" for c in "uvpqs")
    deep = "tanh(" * 7 + "(u_1 + v_1 + p_1 + q_1 + s_1) @ X" + " + 1)" * 7
    net = cr.parse_net(f"net deep\n{params}input X: n m\ninput y: k m\nreturn mse({deep}, y)")
    steps = cr.derive(net).steps("u_1")
    assert "a_1" in [s.of for s in steps.sections]


def test_values_without_names_get_some_so_that_lines_stay_short():
    steps = cr.derive(nets.chain(20), wrt=["w_0"]).steps()
    assert steps.abbreviations[0][0] == "u_1"
    assert max(len(step.written.text) for s in steps.sections[:-1] for step in s.steps) < 160


@pytest.mark.parametrize("room", [40, 76, 96])
def test_shapes_stand_beneath_their_factors_and_lines_fit(room):
    for path in sorted((ROOT / "examples").rglob("*.net")):
        for step in cr.derive(path).steps():
            found = rows(step.written, room)
            joined = " ".join(upper for upper, _ in found)
            assert "".join(joined.split()) == "".join(step.written.text.split())
            for upper, _ in found:
                assert len(found) == 1 or width(upper) <= room or " " not in upper.strip()


def test_each_shape_is_centred_beneath_its_factor():
    for step in cr.derive(ROOT / "examples/mlp.net").steps():
        ((upper, lower),) = rows(step.written, 300)
        above = below = 0
        for factor in step.factors:
            text, shape = (primed(plain(t)) for t in (factor.tex, factor.shape))
            if not shape:
                continue
            above, below = upper.index(text, above), lower.index(shape.replace(" ", ""), below)
            apart = 2 * (above - below) + len(text) - len(shape.replace(" ", ""))
            assert abs(apart) <= 3, (upper, lower)
            above, below = above + len(text), below + len(shape.replace(" ", ""))


@pytest.mark.parametrize("room", [60, 80, 100])
def test_a_long_way_to_the_loss_is_shortened_in_the_middle(room):
    lines = [f"h_{i} = tanh(h_{i - 1})" for i in range(1, 40)]
    net = "\n".join(["net deep", "param h_0:", *lines, "return square(h_39)"])
    text = cr.derive(cr.parse_net(net)).steps("h_39").text(room)
    assert "h₃₉ → L" in text
    deep = cr.derive(cr.parse_net(net)).steps().text(room)
    assert max(map(len, deep.splitlines())) <= room
    assert "∂L/∂h₀" in deep
    assert "→ … →" in deep


def test_every_text_is_no_wider_than_the_terminal():
    for wide in (80, 100):
        lines = cr.derive(NET).steps().text(wide).splitlines()
        assert max(map(width, lines)) <= wide


def test_a_notebook_gets_every_line_typeset(two_sigmoid):
    assert two_sigmoid._repr_latex_().count("begin{aligned}") == 7
    page = two_sigmoid._repr_html_()
    assert page.count("<h5>") == 7
    assert page.count("<li>") == len(two_sigmoid)
    assert r"\underset{k \times m\,\bullet}{A}" in page
    assert two_sigmoid.latex().count(r"\begin{align}") == 8


def test_a_hostile_name_is_escaped_on_every_page():
    name = "</script>\\input{x}$"
    w, x, y = (cr.expr.input_(n, a) for n, a in ((name, ""), ("x", "m"), ("y", "m")))
    steps = cr.derive(nets.net("odd", cr.mse(w * x, y), "", w, x, y), wrt=[name]).steps()
    assert "</script>" not in steps._repr_html_()
    assert r"\input{" not in steps.latex()


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    code = main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return code, out, err


@pytest.mark.seed("000-14", "000-15", "003-06", "003-10", "003-15")
@pytest.mark.parametrize(("command", "output"), BLOCK.findall(PAGE.read_text("utf-8")))
def test_the_page_shows_what_the_command_prints(command, output, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run(capsys, *command.split()[1:])
    assert code == 0
    assert out == output


def test_the_page_has_such_commands():
    assert len(BLOCK.findall(PAGE.read_text("utf-8"))) == 2


def test_a_wrong_derivative_gives_exit_code_1_and_names_the_line(capsys):
    (mutant,) = [m for what, m in mutants(OPS["sigmoid"]) if what == "input 0: negated"]
    with replaced(mutant):
        code, out, _ = run(capsys, "derive", NET, "--steps")
        assert code == 1
        assert "NOT EQUAL\n∂L/∂Z, line 4 (derivative in output form)" in out
        code, out, _ = run(capsys, "derive", NET, "--steps", "--json")
    assert code == 1
    assert json.loads(out)["check"]["first"]["op"] == "sigmoid"


def test_json_has_every_line_with_its_factors(capsys):
    code, out, _ = run(capsys, "derive", NET, "--steps", "--json", "--only", "W_1")
    found = json.loads(out)
    assert code == 0
    assert found["check"]["ok"]
    last = found["derivatives"][-1]
    assert last["of"] == "W_1"
    assert last["reads"]["derivatives"] == ["∂L/∂Z"]
    contraction = last["steps"][3]
    assert contraction["rule"] == "contraction"
    assert [f["axes"] for f in contraction["factors"]] == [["k", "m"], ["m", "n"]]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--only", "W_1"], "--only goes with --steps"),
        (["--spelling", "leibniz"], "--spelling goes with --steps"),
        (["--seed", "3"], "--seed goes with --steps"),
        (["--python", "--notation", "index"], "--python and --notation exclude each other"),
        (["--python", "--dictionary"], "--python and --dictionary exclude each other"),
        (["--steps", "--python"], "--steps and --python exclude each other"),
        (["--steps", "--notation", "chain"], "--steps has no notation 'chain'"),
        (["--steps", "--only", "W_7"], "no derivative with respect to 'W_7'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, says, capsys):
    code, out, err = run(capsys, "derive", NET, *options)
    assert code == 2
    assert says in out + err


def test_latex_goes_to_the_file_and_the_verdict_to_standard_error(capsys, tmp_path):
    path = tmp_path / "steps.tex"
    code, out, err = run(capsys, "derive", NET, "--steps", "--latex", "-o", path)
    assert (code, out) == (0, "")
    assert "equal (32 lines, 7 derivatives)" in err
    assert path.read_text("utf-8").count(r"\begin{enumerate}") == 7


def test_one_derivative_is_not_plural():
    report = cr.derive(cr.parse_net("net one\nparam w:\nreturn square(w)")).steps().check()
    assert str(report).endswith("equal (2 lines, 1 derivative)")
