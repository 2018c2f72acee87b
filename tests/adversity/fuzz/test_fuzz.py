"""Whatever is read from the network ends in an event, in nothing, or in a documented error.

``INPUTS`` says how many inputs each reader gets (4,000 unless told), ``FIRST_SEED`` where they
begin; ``make fuzz`` gives each a million. A finding prints its seed, its input and a smaller one.
"""

from __future__ import annotations

import pytest

from tests.adversity.fuzz.hunting import CHUNK, TRACE_EVERY, chunks, hunt, weigh
from tests.adversity.fuzz.readers import SUBJECTS


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seeds", chunks(), ids=lambda seeds: str(seeds.start))
@pytest.mark.parametrize("name", SUBJECTS)
def test_no_input_breaks_a_reader(name: str, seeds: range) -> None:
    """Only documented errors, of printable words; what is accepted keeps its promises."""
    hunt(SUBJECTS[name], seeds)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SUBJECTS)
def test_no_input_takes_more_memory_than_its_size_allows(name: str) -> None:
    """Of the first inputs, every twentieth."""
    seeds = chunks()[0]
    weigh(SUBJECTS[name], range(seeds.start, seeds.start + min(CHUNK, len(seeds)), TRACE_EVERY))
