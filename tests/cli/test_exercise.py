"""`chainrule exercise new` and `chainrule exercise mark`."""

import pytest

import chainrule
from chainrule.exercises.topics import TOPICS


@pytest.fixture
def problem(cr, tmp_path):
    """A problem file: linear regression with its examples in columns."""
    path = tmp_path / "problem.md"
    made = cr("exercise", "new", "--topic", "linear-regression", "--level", 1, "-o", path)
    assert (made.code, made.out) == (0, "")
    return path


RIGHT = ("a=2/m (ŷ - y)", "b=dy_hat @ X.T", r"c=\frac{2}{m}(\hat{y} - y)\vec{1}")


def answers(*texts):
    return [word for text in texts for word in ("--answer", text)]


@pytest.mark.seed("003-21")
def test_a_problem_is_written_answered_and_marked(cr, problem):
    right = cr("exercise", "mark", problem, *answers(*RIGHT))
    assert right.code == 0
    assert "7 of 7 points" in right.out
    wrong = cr("exercise", "mark", problem, *answers("a=(ŷ - y)/m", *RIGHT[1:]))
    assert wrong.code == 1
    assert "your dy_hat is 0.500 (½) times the right one in every entry" in wrong.out


def test_answers_stand_in_the_file_or_in_one_of_their_own(cr, problem, tmp_path):
    text = problem.read_text("utf-8")
    for part in RIGHT:
        text = text.replace(f"Answer ({part[0]}):", f"Answer ({part[0]}): {part[2:]}")
    filled = tmp_path / "filled.md"
    filled.write_text(text, "utf-8")
    assert cr("exercise", "mark", filled).code == 0
    own = tmp_path / "answers.txt"
    own.write_text("\n".join(f"Answer ({p[0]}): {p[2:]}" for p in RIGHT), "utf-8")
    assert cr("exercise", "mark", problem, own).code == 0
    assert cr("exercise", "mark", problem).code == 1
    own.write_text("a: 2/m (ŷ - y)", "utf-8")
    refused = cr("exercise", "mark", problem, own)
    assert (refused.code, "Answer (a): …" in refused.err) == (3, True)
    assert cr("exercise", "mark", filled, "--answer", "b=y").code == 1


def test_marks_as_json(cr, problem):
    found = cr("exercise", "mark", problem, *answers("a=(ŷ - y)/m", "b=np.sum("), "--json")
    assert found.code == 1
    parts = {part["label"]: part for part in found.json["parts"]}
    assert (parts["a"]["kind"], parts["a"]["verdict"]) == ("factor", "partly")
    assert parts["b"]["verdict"] == "unread"
    assert (found.json["points"], found.json["out_of"]) == (1, 7)


def test_without_a_topic_the_topics_are_listed(cr):
    listed = cr("exercise", "new")
    assert listed.code == 0
    assert all(topic in listed.out for topic in TOPICS)
    assert set(cr("exercise", "new", "--json").json) == set(TOPICS)


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.seed("003-21")
def test_every_topic_can_be_printed_with_its_solution(cr, topic):
    found = cr("exercise", "new", "--topic", topic, "--seed", 5, "--solution")
    assert found.code == 0
    assert found.out.rstrip() == chainrule.exercise(topic, 5).markdown(solution=True)
    text = cr("exercise", "new", "--topic", topic, "--seed", 5, "--solution", "--text")
    assert max(map(len, text.out.splitlines())) <= 100
    assert cr("exercise", "new", "--topic", topic, "--seed", 5, "--json").json["topic"] == topic


@pytest.mark.seed("003-02", "003-03")
def test_random_search_is_compared_with_a_step_along_the_gradient(cr):
    found = cr("exercise", "new", "--topic", "random-search", "--solution", "--text").out
    assert "How many losses are computed?" in " ".join(found.split())
    assert "trying is no good idea" in " ".join(found.split())
    assert "in which direction to go" in " ".join(found.split())


def test_a_file_that_is_there_is_kept_unless_told_otherwise(cr, problem):
    again = ("exercise", "new", "--topic", "bias", "-o", problem)
    refused = cr(*again)
    assert (refused.code, "is there already" in refused.err) == (2, True)
    assert cr(*again, "--overwrite").code == 0
    assert "topic=bias" in problem.read_text("utf-8")


def test_mistakes_of_usage_are_said(cr, problem, tmp_path):
    for arguments, code, message in (
        (("new", "--topic", "bais"), 2, "Did you mean 'bias'?"),
        (("new", "--topic", "bias", "--seed", "-1"), 2, "seed must be a whole number"),
        (("new", "--topic", "bias", "--level", "7"), 2, "level must be 1, 2 or 3"),
        (("new", "--topic", "bias", "--text", "--json"), 2, "exclude each other"),
        (("mark", tmp_path / "none.md"), 3, "not found"),
        (("mark", tmp_path), 3, "cannot be read"),
        (("mark", problem, "--answer", "a"), 2, "--answer takes a=…"),
        (("mark", problem, "--answer", "a=1", "--answer", "a=2"), 2, "twice"),
        (("mrk",), 2, 'Did you mean "mark"?'),
    ):
        done = cr("exercise", *arguments)
        assert (done.code, message in done.err) == (code, True), done.err


def test_files_that_are_no_problems_are_refused(cr, tmp_path):
    path = tmp_path / "x.md"
    for content, message in (
        (b"# Hello", "no problem file"),
        (b"\xff\xfe", "not UTF-8"),
        (b"x" * 900_000, "larger than"),
        (b"<!-- chainrule exercise: topic=bias seed=1 level=2 version=7 -->", "version 7"),
    ):
        path.write_bytes(content)
        done = cr("exercise", "mark", path)
        assert done.code in (3, 5)
        assert message in done.err


def test_nothing_that_is_answered_is_run_or_obeyed_by_the_terminal(cr, problem, tmp_path):
    hostile = "__import__('pathlib').Path('owned').touch()"
    done = cr(
        "exercise",
        "mark",
        problem,
        *answers(f"a={hostile}", "b=\x1b[2Jx", "c=\\input{/etc/passwd}"),
    )
    assert done.code == 1
    assert not (tmp_path / "owned").exists()
    assert "\x1b" not in done.out
    assert "root:" not in done.out
