"""Tables in blocks that fit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fishlive.cli.fitting import GAP, blocks

words = st.text("abc ", max_size=12)
numbers = st.integers(0, 10**9).map(str)


def test_what_fits_is_one_block() -> None:
    """As wide as it wants to be, names of columns in one line."""
    (block,) = blocks(["socket", "first audio"], [["cold", "1.5"]], names=1, width=80)
    assert (block.columns, block.widths) == (["socket", "first audio"], [6, 11])
    assert block.rows == [["cold", "1.5"]]


def test_names_of_columns_break_before_blocks_do() -> None:
    """Between their words."""
    (block,) = blocks(["socket", "first audio"], [["cold", "1.5"]], names=1, width=13)
    assert block.widths == [6, 5]


def test_each_block_says_which_row_is_which() -> None:
    """The columns that name a row stand in all of them."""
    first, second = blocks(["a", "x", "y"], [["k", "1234", "5678"]], names=1, width=8)
    assert (first.columns, first.rows) == (["a", "x"], [["k", "1234"]])
    assert (second.columns, second.rows) == (["a", "y"], [["k", "5678"]])


def test_long_names_are_folded() -> None:
    """The widest first, so that the numbers have room."""
    (block,) = blocks(["voice", "load", "x"], [["v" * 32, "5/s", "1234"]], names=2, width=30)
    assert block.widths == [18, 4, 4]


@given(
    st.lists(st.tuples(words, words, numbers, numbers, numbers), min_size=1, max_size=4),
    st.integers(30, 120),
)
def test_blocks_fit_and_lose_nothing(
    rows: list[tuple[str, str, str, str, str]], width: int
) -> None:
    """Every number is in a column that is wide enough for it, and no block is wider than asked."""
    columns = ["one", "other", "first audio", "p95", "longest gap"]
    found = blocks(columns, rows, names=2, width=width)
    assert [name for block in found for name in block.columns[2:]] == columns[2:]
    for block in found:
        assert sum(block.widths) + GAP * (len(block.widths) - 1) <= width
        for row in block.rows:
            assert all(
                len(cell) <= size for cell, size in zip(row[2:], block.widths[2:], strict=True)
            )
