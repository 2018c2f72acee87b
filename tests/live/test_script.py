"""live/script.py: what was said, to be said again or accounted for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fishlive.live.outbox import Item, Order
from fishlive.live.script import LOOSE_ITEMS, Script

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
ITEMS = st.lists(TEXTS | st.sampled_from(list(Order)), max_size=20)


def script(items: list[Item]) -> Script:
    """Return a script of these."""
    made = Script()
    say(made, items)
    return made


def say(made: Script, items: list[Item]) -> None:
    """Note them as the sender does."""
    for item in items:
        if isinstance(item, Order):
            made.add(item)
        else:
            made.items.append(item)


def bare(items: list[Item]) -> list[Item]:
    """Join text between orders, by the simplest of means."""
    out: list[Item] = []
    for item in items:
        if not isinstance(item, Order) and out and not isinstance(out[-1], Order):
            out[-1] = f"{out[-1]}{item}"
        else:
            out.append(item)
    return out


@given(ITEMS)
def test_its_text_is_all_text_in_order(items: list[Item]) -> None:
    """Orders are not text."""
    assert script(items).text == "".join(i for i in items if not isinstance(i, Order))


@given(ITEMS)
def test_its_passages_say_the_same_in_as_few_pieces_as_orders_allow(items: list[Item]) -> None:
    """No order is lost, moved or doubled, and neither is text; the script itself stays."""
    made = script(items)
    before = made.items.copy()
    assert made.passages() == bare(items)
    assert made.items == before


@given(ITEMS, st.integers(-3, 60))
def test_a_tail_is_the_newest_text_of_at_least_that_size(items: list[Item], size: int) -> None:
    """It ends the text, is big enough where there is enough, and holds no piece it need not."""
    made = script(items)
    tail = made.tail(size)
    assert made.text.endswith(tail)
    assert len(tail.encode()) >= min(size, len(made.text.encode()))
    pieces = [i for i in made.items if not isinstance(i, Order)]
    if tail:
        # Without its first piece it would be too small.
        first = next(len(p) for n, p in enumerate(pieces) if p and "".join(pieces[n:]) == tail)
        assert len(tail[first:].encode()) < size
    else:
        assert size <= 0 or not made.text


@given(st.lists(ITEMS, max_size=5))
def test_compacting_changes_nothing_but_the_pieces(rounds: list[list[Item]]) -> None:
    """Whatever is said between, and however often it is joined."""
    said: list[Item] = []
    made = Script()
    for items in rounds:
        grown: list[Item] = [*items, *["ab "] * (LOOSE_ITEMS // 2)]
        say(made, grown)
        said.extend(grown)
        made.compact()
        assert made.passages() == bare(said)
        assert made.text == "".join(i for i in said if not isinstance(i, Order))


def test_few_pieces_are_left_as_they_are() -> None:
    """Joining is worth its while from LOOSE_ITEMS pieces on."""
    made = script(["a"] * (LOOSE_ITEMS - 1))
    made.compact()
    assert len(made.items) == LOOSE_ITEMS - 1
    made.items.append("a")
    made.compact()
    assert made.items == ["a" * LOOSE_ITEMS]


def test_a_long_script_is_joined_in_linear_time() -> None:
    """What was joined once is not looked at again."""
    made = Script()
    for _ in range(10):
        made.items.extend(["a"] * LOOSE_ITEMS)
        made.compact()
    assert made.items == ["a" * LOOSE_ITEMS] * 10
    made.items.extend(["b"] * (LOOSE_ITEMS - 1))
    made.compact()
    assert len(made.items) == 10 + LOOSE_ITEMS - 1


def test_a_sentence_becomes_one_piece_when_it_is_flushed() -> None:
    """However short it is; what is not flushed yet waits for its order."""
    made = script([*"Hello.", Order.FLUSH, *"You", Order.FLUSH, Order.STOP, *"too"])
    assert made.items == ["Hello.", Order.FLUSH, "You", Order.FLUSH, Order.STOP, *"too"]


def test_a_script_that_is_cut_begins_anew() -> None:
    """The list is the same, because the sender holds on to it; what was joined stays as it is."""
    made = script(["a"] * LOOSE_ITEMS)
    made.compact()
    items = made.items
    made.cut(LOOSE_ITEMS - 2, "re")
    assert items == ["re", "aa"]
    assert made.items is items
    made.items.extend(["b"] * LOOSE_ITEMS)
    made.compact()
    assert made.items == ["re", "aa", "b" * LOOSE_ITEMS]
    made.cut(len(made.text))
    assert items == []
    assert made.passages() == []


@given(ITEMS, st.integers(0, 80), TEXTS)
def test_a_cut_leaves_the_text_behind_it_and_its_orders(
    items: list[Item], char: int, prefix: str
) -> None:
    """Orders that stood behind what is left stand there again; those before it are forgotten."""
    made = script(items)
    whole = made.text
    made.cut(char, prefix)
    rest = whole[char:]
    assert made.text == (prefix + rest if rest else "")
    before, orders = 0, []
    for item in items:
        if not isinstance(item, Order):
            before += len(item)
        elif before > char:
            orders.append((before - char, item))
    places, behind = [], -len(prefix)
    for item in made.items:
        if isinstance(item, Order):
            places.append((behind, item))
        else:
            behind += len(item)
    assert places == orders
