"""models/nested.py: answers inside answers."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from fishlive.errors import ProtocolError
from fishlive.models.answer import Answer
from fishlive.models.nested import each, one


class Leaf(Answer):
    """An inner answer."""

    name: str
    size: int = 1


class Tree(Answer):
    """An outer one."""

    top: Annotated[Leaf | None, one(Leaf)] = None
    leaves: Annotated[tuple[Leaf, ...], each(Leaf)] = ()


def test_inner_answers_are_read_as_outer_ones() -> None:
    """A null is a field that was left out, and each has its own raw."""
    document = {"name": "a", "size": None, "new": 1}
    tree = Tree.read({"top": document, "leaves": [document]})
    assert tree.top is not None
    assert [(leaf.size, leaf.raw["new"]) for leaf in (tree.top, *tree.leaves)] == [(1, 1), (1, 1)]


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ({"leaves": [{"name": "a"}, {}]}, "Leaf: no name"),
        ({"leaves": [None]}, "Leaf: the answer is a null"),
        ({"leaves": {"name": "a"}}, "Tree: leaves is not"),
        ({"top": ["secret"]}, "Leaf: the answer is a list"),
    ],
)
def test_what_is_wrong_inside_is_named(document: dict[str, Any], what: str) -> None:
    """And not repeated."""
    with pytest.raises(ProtocolError, match=what) as caught:
        Tree.read(document)
    assert "secret" not in str(caught.value)


def test_answers_that_were_read_stay_themselves() -> None:
    """Built by hand, of those that came."""
    leaf = Leaf.read({"name": "a", "new": 1})
    assert Tree(top=leaf, leaves=[leaf]).leaves[0] is leaf  # type: ignore[arg-type]  # lists do too
