"""What the README shows to be copied."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_every_block_of_python_is_python(number: int) -> None:
    """Also where it waits outside of a function, which a notebook allows."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    compile(BLOCKS[number], f"README.md, block {number}", "exec", flags=flags)


@pytest.mark.parametrize("shown", sorted(set(re.findall(r"\bexamples/\w+\.py", README))))
def test_every_example_that_is_named_is_there(shown: str) -> None:
    """In the repository, and so in the source distribution."""
    assert (ROOT / shown).is_file()
