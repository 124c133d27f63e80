"""A drill that catches nothing proves nothing: defects put into the engine, one at a time, each
met by the short drill that must notice it; and the same drills on the engine as it is."""

import sys

import pytest

from drills.drill import Drill
from drills.mutants import MUTANTS, Mutant
from drills.short import SHORT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")

# Quick enough for every day.
DAILY = ("repeats known by id alone", "refusal taken for success", "answered before the commit")


def named(mutant: Mutant) -> object:
    """Its parameter set: only a few run without being asked for."""
    marks = () if mutant.name in DAILY else (pytest.mark.drill,)
    return pytest.param(mutant, id=mutant.name, marks=marks)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.name)
def test_each_defect_still_has_its_place_in_the_engine(mutant):
    """The text that a defect replaces stands in the engine exactly once."""
    assert len(mutant.places()) == 1, mutant.places()
    assert mutant.old != mutant.new


@pytest.mark.drill
@pytest.mark.parametrize("name", SHORT)
async def test_a_short_drill_passes(ground, seed, record, name):
    """The engine as it is gives the short drills nothing to find."""
    async with Drill(ground, seed, SHORT[name].plan) as drill:
        await SHORT[name].work(drill)
        record(drill)


@pytest.mark.parametrize("mutant", [named(one) for one in MUTANTS])
async def test_a_defect_is_noticed(ground, seed, verdict, mutant):
    """The engine starts with the defect, and its drill fails by what the oracle finds."""
    code = mutant.put(ground / "mutant")
    short = SHORT[mutant.drill]
    drill = Drill(ground, seed, short.plan, environ={"PYTHONPATH": str(code)})
    told = None
    try:
        async with drill:
            with pytest.raises(AssertionError) as found:
                await short.work(drill)
        told = found.value
    finally:
        verdict(mutant.name, mutant.drill, told)
