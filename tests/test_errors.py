"""Lines that a user is meant to read."""

import pytest

from ganx.errors import one_line, unknown


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("s9", ["s1", "s2", "rgb"], "no stage named 's9'; did you mean 's2'? choose from: s1, s2, rgb"),
        ("top", ["s1", "s2"], "no stage named 'top'; choose from: s1, s2"),
        ("g.lrr", ["g.lr", "d.lr", *map(str, range(40))], "did you mean 'g.lr' or 'd.lr'? there are 42 in all"),
        ("top", [f"s{i}" for i in range(40)], "no stage named 'top'; choose from: s0, s1, s2"),
    ],
)
def test_an_unknown_name_comes_with_the_nearest_or_all(name, known, said):
    assert said in str(unknown("stage", name, known))


def test_an_exception_becomes_one_line():
    assert one_line(ValueError("one\n  two")) == "one two"
    assert one_line(KeyError()) == "KeyError"
    assert one_line(ValueError("x" * 99), 10) == "x" * 9 + "…"
