"""What a wrong network gets: rows 42 to 50 and 54 of the table of messages, with their text."""

import time

import pytest

from chainrule.definition import with_loss
from chainrule.differentiate import reverse
from chainrule.errors import FormulaError, GraphError, ShapeError
from chainrule.expr import LONGEST_NAME, input_
from chainrule.netfile import define, parse_net, write_net
from chainrule.nn import mlp, network
from chainrule.ops.activations import sigmoid
from chainrule.ops.losses import mse

MAY_USE = (
    "Formulas may use numbers, names x, y, W, + - * / ^ @ > >= < <= .T and: exp, log, sqrt, "
    "sigmoid, tanh, relu, softmax, sum, mean, mse, cross_entropy, …"
)

TRIES = 20  # on a machine that does other work at the same time


def refused(text, error):
    """The message of the error that the text gets, within 10 ms (in one of TRIES)."""
    for _ in range(TRIES):
        start = time.process_time()
        with pytest.raises(error) as caught:
            parse_net(text)
        if time.process_time() - start < 0.010:
            return str(caught.value)
    pytest.fail("takes more than 10 ms")


def formula(text):
    """The message of a text that stands in line 4, after declarations of x, y and W."""
    return refused(f"input x: m\ninput y: m\nparam W: k m\n{text}\nreturn y", FormulaError)


def test_row_42_shapes_that_do_not_match_name_the_layer_the_line_and_the_way_to_it():
    text = """
        net wrong
        param W1: n=8 h=10
        param W2: q=12 c=5
        input X: m=32 n=8

        # the first layer
        h1 = X @ W1


        # the second one
        # has the wrong weights

        h2 = h1 @ W2
        return h2
    """
    assert refused(text, ShapeError) == (
        "layer 'h2' (line 14): matmul of (X @ W1) (m=32, h=10) and W2 (q=12, c=5): "
        "inner sizes 10 ≠ 12 (path: X → h1 → h2)"
    )


def test_row_42_in_a_function_names_file_and_line():
    def wrong(W1: "n=8 h=10", W2: "q=12 c=5", X: "m=32 n=8"):
        h1 = X @ W1
        return h1 @ W2

    with pytest.raises(ShapeError) as caught:
        define(wrong)
    line = wrong.__code__.co_firstlineno + 2
    assert str(caught.value) == (
        f"{__file__}:{line}: matmul of (X @ W1) (m=32, h=10) and W2 (q=12, c=5): "
        "inner sizes 10 ≠ 12"
    )


def test_row_42_a_transposed_matrix_is_recognised():
    text = "param W: k n\ninput X: m n\nreturn X @ W"
    assert refused(text, ShapeError) == (
        "return (line 3): matmul of X (m, n) and W (k, n): inner axes 'n' ≠ 'k' "
        "(path: X → return). Did you mean W.T?"
    )


def test_row_43_a_loss_never_broadcasts():
    text = "param w:\ninput x: m=32 1\ninput t: m=32\np = w * x\nloss = mse(p, t)\nreturn loss"
    assert refused(text, ShapeError) == (
        "layer 'loss' (line 5): mse: prediction (m, 1) and target (m) would broadcast to (m, 1) "
        "(path: x → p → loss). Use target[:, None] and declare it with axes 'm 1'"
    )


def test_row_44_cycle():
    text = "input x: m\nh1 = relu(gate)\nh2 = h1 + x\ngate = sigmoid(h2)\nreturn h2"
    assert refused(text, GraphError) == "line 2: cycle: h1 → h2 → gate → h1"
    assert refused("h = h + 1\nreturn h", GraphError) == "line 1: cycle: h → h"


UNUSED = (
    "parameter 'W3' does not influence the loss (gradient would be 0): remove it or mark it frozen"
)


def test_row_45_a_parameter_without_influence():
    text = "param w:\nparam W3: k\ninput x: m\nz = W3 + 1\nreturn w * x"
    assert refused(text, GraphError) == UNUSED
    net = parse_net(text.replace("param W3", "frozen W3"))
    assert net.params == ("w",)


def test_row_45_a_parameter_without_influence_in_a_function():
    def net(w: "", W3: "k", x: "m"):
        return w * x

    with pytest.raises(GraphError) as caught:
        define(net, params=["w", "W3"])
    assert str(caught.value) == UNUSED
    assert define(net, params=["w", "W3"], frozen=["W3"]).params == ("w",)


def test_row_45_a_derivative_that_is_asked_for_must_exist():
    derived = pytest.importorskip("chainrule.plan.derived").derived

    net = parse_net("input w:\ninput W3: k\ninput x: m\nreturn sum(w * x)")
    with pytest.raises(GraphError, match=r"parameter 'W3' does not influence the loss \(gradient"):
        derived(net, ["W3"])


def test_row_46_a_loss_with_axes():
    derived = pytest.importorskip("chainrule.plan.derived").derived
    net = parse_net("net each\nparam w:\ninput x: m=32\nreturn w * x")
    with pytest.raises(GraphError) as caught:
        reverse(net.root, [net.input["w"]])
    assert "reduce it with mean(…) or sum(…)" in str(caught.value)
    with pytest.raises(GraphError, match=r"(?i)loss has shape \(m=32\).*reduce it with mean\(…\)"):
        derived(net)


def test_row_47_an_operation_without_a_gradient():
    derived = pytest.importorskip("chainrule.plan.derived").derived
    net = parse_net("""
        param W1: k n
        param W2: n
        input X: n m
        Z = W1 @ (W2 * X)
        pick = argmax(Z, over="k")
        return mean(one_hot(pick, "c", size=3))
    """)
    with pytest.raises(GraphError) as caught:
        derived(net)
    says = "argmax in 'pick' has zero gradient almost everywhere: W1, W2 cannot learn through it"
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "column", "word"),
    [
        ("z = __import__('os').system('x')", 5, "__import__"),
        ("z = x.__class__", 7, "__class__"),
        ("z = x.shape", 7, "shape"),
        ("z = lambda x: x", 5, "lambda"),
        ("z = [x, y]", 5, "["),
        ("z = x[0]", 6, "["),
        ("z = {x}", 5, "{"),
        ("z = x if y else W", 7, "if"),
        ("z = None", 5, "None"),
    ],
)
def test_row_48_python_is_not_a_formula(text, column, word):
    place = f'line 4 column {column}: "{word}" is not allowed. {MAY_USE}'
    caret = " " * (column - 1) + "^"
    assert formula(text) == f"{place}\n    {text}\n    {caret}"


def test_row_48_nothing_is_evaluated(monkeypatch):
    def never(*arguments):
        raise AssertionError("evaluated")

    for name in ("eval", "exec", "compile", "__import__"):
        monkeypatch.setattr(f"builtins.{name}", never)
    with pytest.raises(FormulaError) as caught:
        parse_net("input x: m\nreturn __import__('os').system('x')")
    monkeypatch.undo()
    assert '"__import__" is not allowed' in str(caught.value)
    assert caught.value.exit_code == 8


def test_row_49_nesting():
    for text in ("z = " + "(" * 4000, "z = " + "relu(" * 800, "z = " + "-" * 4000):
        assert ": nesting deeper than 64" in formula(text)
    assert ": nesting deeper than 64" in formula("z = x" + " ^ x" * 1000)
    deep = "(" * 64 + "x" + ")" * 64
    assert parse_net(f"input x: m\nreturn {deep}").root is input_("x", "m")


def test_row_49_constants_that_overflow():
    assert "column 7: constant 9^9^9 is not finite" in formula("z = x*9**9**9")
    assert "constant 9^9^9 is not finite" in formula("z = 9**9**9**9")
    assert "constant 9^9^9 is not finite" in formula("z = 9^9^9^9")
    assert "constant 1e308 * 10 is not finite" in formula("z = x * (1e308 * 10)")


def test_row_49_length():
    assert "longer than 4096 characters" in formula("z = x" + " + x" * 2000)
    assert "longer than 4096 characters" in formula("x" * 900_000)
    assert "longer than 4096 characters" in formula("1" * 2**20)
    with pytest.raises(FormulaError, match="longer than 1000000 characters"):
        parse_net("# a line\n" * 200_000)
    wide = parse_net("input x: m\nreturn x" + " + x" * 1000).root
    assert wide.inputs[1] is input_("x", "m")


def test_row_50_typos_get_a_suggestion_and_a_caret():
    assert formula("z = sigmiod(x)") == (
        "line 4 column 5: 'sigmiod' is not known. Did you mean 'sigmoid'?\n"
        "    z = sigmiod(x)\n"
        "        ^"
    )
    text = "param weights: n\ninput x: n m\nreturn wieghts @ x"
    assert refused(text, FormulaError) == (
        "line 3 column 8: 'wieghts' is not known. Did you mean 'weights'?\n"
        "    return wieghts @ x\n"
        "           ^"
    )


def test_row_50_a_typo_among_many_names_is_reported_in_no_time():
    lines = "".join(f"input some_name_{i}: m\n" for i in range(200))
    assert "Did you mean" in refused(lines + "return some_nam_7", FormulaError)


ODD_LABELS = (
    '"""); os.system("x"); #',
    "</script>",
    "\\input{/etc/passwd}",
    "CON",
    "\N{FIRE}" * LONGEST_NAME,
    "two\nlines\x1b[31m",
)


@pytest.mark.parametrize("label", ODD_LABELS)
def test_row_54_any_label_is_accepted_and_none_is_written_as_text_unescaped(label):
    x = input_(label, "m")
    net = network(sigmoid(x), [x], name=label, values=[(f"{label}"[:100] + "A", sigmoid(x))])
    assert net.input[label] is x
    if label.isidentifier():
        assert parse_net(write_net(net)) is net
    else:
        with pytest.raises(GraphError, match="cannot be written as text"):
            write_net(net)


@pytest.mark.parametrize("label", [label for label in ODD_LABELS if not label.isidentifier()])
def test_row_54_names_in_a_file_are_identifiers(label):
    with pytest.raises(FormulaError):
        parse_net(f"input {label}: m\nreturn 1")
    with pytest.raises(FormulaError):
        parse_net(f"input x: m\n{label} = x\nreturn x")


def test_row_54_names_of_more_than_200_characters_are_refused():
    long = "a" * 201
    says = f"name '{'a' * 40}'… is 201 characters long (at most 200)"
    with pytest.raises(GraphError) as caught:
        input_(long, "m")
    assert str(caught.value) == says
    for text in (f"net {long}\n", f"input {long}: m\n", f"{long} = x\n"):
        with pytest.raises(GraphError) as caught:
            parse_net(f"input x: m\n{text}return x")
        assert says in str(caught.value)
    with pytest.raises(GraphError) as caught:
        mlp([2, 1], name=long)
    assert says in str(caught.value)


def test_a_network_with_a_loss_that_has_one_already_is_refused():
    x, y = input_("x", "m"), input_("t", "m")
    with pytest.raises(GraphError) as caught:
        with_loss(network(mse(x, y), [x, y], name="n"), "mse")
    assert str(caught.value) == "n ends in the loss mse already"
