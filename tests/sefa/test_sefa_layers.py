"""Layer ranges as users write them."""

import pytest

from ganx import GanxError
from ganx.sefa import parse_layers
from ganx.sefa.layers import parse_numbers


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("all", (0, 1, 2, 3, 4, 5)),
        ("0-1", (0, 1)),
        ("0,2-5", (0, 2, 3, 4, 5)),
        (" 3 , 1-2,, 2", (1, 2, 3)),
        (4, (4,)),
        ([5, 0, 0], (0, 5)),
    ],
)
def test_ranges_read(text, want):
    assert parse_layers(text, 6) == want


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5-2", "of layers runs backwards; write 2-5"),
        ("0-6", "layer 6 does not exist; this generator has layers 0 to 5"),
        (6, "layer 6 does not exist"),
        (-1, "layer -1 does not exist"),
        ("top", "cannot be read"),
        ("1-", "cannot be read"),
        ("1²", "cannot be read"),
        ("0-1000000000000", "more than 10000"),
        ("", "name none"),
        ([], "name none"),
    ],
)
def test_nonsense_is_refused_in_one_line(text, message):
    with pytest.raises(GanxError, match=message) as caught:
        parse_layers(text, 6)
    assert "\n" not in str(caught.value)


def test_other_numbers_are_called_by_their_own_name():
    assert parse_numbers("7, 0-2", "seeds") == [7, 0, 1, 2]
    with pytest.raises(GanxError, match="seeds 'all' cannot be read"):
        parse_numbers("all", "seeds")
