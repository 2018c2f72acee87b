"""wire/machine.py: every pair of state and step, against a table a human can read."""

from __future__ import annotations

from itertools import product

import pytest

from fishlive.errors import ProtocolError, UsageError
from fishlive.wire.machine import NEXT, OURS, State, Step, advance

LEGAL = """
opened    start  -> speaking
opened    finish -> finished
opened    error  -> finished
speaking  text   -> speaking
speaking  flush  -> speaking
speaking  stop   -> draining
speaking  audio  -> speaking
speaking  finish -> finished
speaking  error  -> finished
draining  audio  -> draining
draining  finish -> finished
draining  error  -> finished
"""
TABLE = {
    (State(before), Step(step)): State(after)
    for before, step, _, after in map(str.split, LEGAL.strip().splitlines())
}


@pytest.mark.parametrize(
    ("state", "step"), list(product(State, Step)), ids=lambda member: member.value
)
def test_every_step_in_every_state(state: State, step: Step) -> None:
    """Each pair leads where the table above says, or blames whoever took the step."""
    if after := TABLE.get((state, step)):
        assert advance(state, step) is after
        return
    blame = UsageError if step in OURS else ProtocolError
    with pytest.raises(blame, match=f"{step.value} is not allowed while {state.value}"):
        advance(state, step)


def test_every_state_can_still_reach_the_end() -> None:
    """No state is a trap: an utterance can always finish."""
    reaching = {State.FINISHED}
    while grown := {s for s in State if reaching & set(NEXT[s].values())} - reaching:
        reaching |= grown

    assert reaching == set(State)
