"""Layer ranges as users write them."""

import pytest

from ganx import GanxError
from ganx.sefa import parse_layers


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
        ("5-2", "runs backwards; write 2-5"),
        ("0-6", "layer 6 does not exist; this generator has layers 0 to 5"),
        (6, "layer 6 does not exist"),
        (-1, "layer -1 does not exist"),
        ("top", "cannot be read"),
        ("1-", "cannot be read"),
        ("", "name none"),
        ([], "name none"),
    ],
)
def test_nonsense_is_refused_in_one_line(text, message):
    with pytest.raises(GanxError, match=message) as caught:
        parse_layers(text, 6)
    assert "\n" not in str(caught.value)
