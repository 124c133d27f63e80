"""A drill that catches nothing proves nothing: defects put into the engine, one at a time, each
met by the short drill that must notice it; and the same drills on the engine as it is."""

import sys
from pathlib import Path

import pytest

from drills import clock
from drills.drill import Drill, Plan
from drills.mutants import MUTANTS, Mutant
from drills.proxy import Proxy
from drills.short import SHORT, Short, answers_cut

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")

LINKED = Plan(pace=0.004, patience=10)
# Quick enough for every day.
DAILY = ("repeats known by id alone", "refusal taken for success", "answered before the commit")


def named(mutant: Mutant) -> object:
    """Its parameter set: only a few run without being asked for."""
    marks = () if mutant.name in DAILY else (pytest.mark.drill,)
    return pytest.param(mutant, id=mutant.name, marks=marks)


def around(short: Short, ground: Path) -> dict[str, str]:
    """What a short drill needs in the engine's environment."""
    if not short.clock:
        return {}
    return clock.settable(ground) or pytest.skip("no C compiler: the clock cannot be set")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.name)
def test_each_defect_still_has_its_place_in_the_engine(mutant):
    """The text that a defect replaces stands in the engine exactly once."""
    assert len(mutant.places()) == 1, mutant.places()
    assert mutant.old != mutant.new


@pytest.mark.drill
@pytest.mark.parametrize("name", SHORT)
async def test_a_short_drill_passes(ground, seed, record, name):
    """The engine as it is gives the short drills nothing to find."""
    short = SHORT[name]
    async with Drill(ground, seed, short.plan, environ=around(short, ground)) as drill:
        await short.work(drill)
        record(drill)


@pytest.mark.parametrize("mutant", [named(one) for one in MUTANTS if one.drill in SHORT])
async def test_a_defect_is_noticed(ground, seed, verdict, mutant):
    """The engine starts with the defect, and its drill fails by what the oracle finds."""
    code = mutant.put(ground / "mutant")
    short = SHORT[mutant.drill]
    environ = {"PYTHONPATH": str(code)} | around(short, ground)
    drill = Drill(ground, seed, short.plan, environ=environ)
    told = None
    try:
        async with drill:
            with pytest.raises(AssertionError) as found:
                await short.work(drill)
        told = found.value
    finally:
        verdict(mutant.name, mutant.drill, told)


@pytest.mark.drill
async def test_the_drill_of_the_link_passes(ground, seed, record, journal_url: str):
    """The engine as it is stores once what was committed as the link broke."""
    proxy = Proxy(ground / "link", journal_url)
    await proxy.start()
    async with Drill(ground, seed, LINKED, journal=proxy.conninfo) as drill:
        await answers_cut(drill, proxy)
        record(drill)
    await proxy.stop()


@pytest.mark.drill
@pytest.mark.parametrize("mutant", [named(one) for one in MUTANTS if one.drill not in SHORT])
async def test_a_defect_of_the_link_is_noticed(
    ground, seed, verdict, journal_url: str, mutant: Mutant
):
    """The same for what shows only when a commit's answer is lost."""
    proxy = Proxy(ground / "link", journal_url)
    await proxy.start()
    environ, told = {"PYTHONPATH": str(mutant.put(ground / "mutant"))}, None
    try:
        async with Drill(ground, seed, LINKED, proxy.conninfo, environ=environ) as drill:
            with pytest.raises(AssertionError) as found:
                await answers_cut(drill, proxy)
        told = found.value
    finally:
        verdict(mutant.name, mutant.drill, told)
        await proxy.stop()
