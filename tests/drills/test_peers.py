"""Peers that misbehave: nothing acknowledged is missing, order holds, others do not notice."""

import asyncio
import sys

import pytest

from drills.drill import Drill, Plan
from drills.sink import Mood
from drills.source import Mischief

pytestmark = [
    pytest.mark.drill,
    pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc"),
]

UNCLEAR = ("silent", "wrong", "late", "close", "reset", "half", "broken")
RETRY = "answers: {AE: retry, AR: retry, CR: retry}\n"


def moody(drill: Drill, moods: tuple[str, ...], often: float) -> Mood:
    """These moods now and then, never for ever: a third try is always taken."""

    def mood(control_id: str, nth: int) -> str:
        return drill.chance.choice(moods) if nth < 3 and drill.chance.random() < often else "AA"

    return mood


@pytest.mark.parametrize("mood", [*UNCLEAR, "slow"])
async def test_an_unclear_answer_is_tried_again_and_nothing_overtakes(
    ground, seed, record, mood
):
    """P3, P4: no answer is credited to another message, a lane waits for its own."""
    async with Drill(ground, seed, Plan(timeout="500ms", patients=32)) as drill:
        drill.sinks["lab"].patience = 0.7
        drill.sinks["lab"].mood = moody(drill, (mood,), 0.05)
        await drill.load()
        await asyncio.sleep(8)
        await drill.verify()
        record(drill)


@pytest.mark.parametrize("code", ["AE", "AR", "CR"])
async def test_a_negative_answer_is_tried_again_where_the_site_says_so(
    ground, seed, record, code
):
    """A11: AE and AR are not success."""
    async with Drill(ground, seed, Plan(more=RETRY)) as drill:
        drill.sinks["lab"].settles = ("AA",)
        drill.sinks["lab"].mood = moody(drill, (code,), 0.05)
        await drill.load()
        await asyncio.sleep(5)
        await drill.verify()
        assert any(one.mood == code for one in drill.sinks["lab"].received)
        record(drill)


async def test_refused_messages_are_parked_and_their_lanes_go_on(ground, seed, record):
    """A11, P2: AR at once, AE after three repeats; as many are parked as were refused."""
    async with Drill(ground, seed) as drill:

        def mood(control_id: str, nth: int) -> str:
            return {"3": "AR", "7": "AE"}.get(control_id[-1], "AA")

        drill.sinks["lab"].mood = mood
        drill.refused = lambda control_id: control_id[-1] in "37"
        await drill.load()
        for _ in range(2):
            await drill.run(2.0, 3.0)
            await drill.kill_engine()
        await drill.verify()
        record(drill)


async def test_senders_that_break_off_lose_and_repeat_nothing(ground, seed, record):
    """A13, M3: half frames, noise and resets; a repeat of what was stored runs once."""
    async with Drill(ground, seed) as drill:
        drill.source.mischief = Mischief(half_frame=0.05, reset=0.1, noise=0.05)
        await drill.load()
        for _ in range(4):
            await drill.run(1.0, 2.0)
            await drill.kill_engine()
        await drill.verify()
        record(drill)


async def test_a_destination_that_is_down_holds_only_itself(ground, seed, record):
    """P6, P8: one of two is down for a while; it gets all of it later, in order."""
    async with Drill(ground, seed, Plan(sinks=("lab", "ward"))) as drill:
        await drill.load()
        for _ in range(3):
            await drill.run(0.5, 1.0)
            await drill.sinks["ward"].stop()
            before = len(drill.sinks["lab"].received)
            await drill.run(2.0, 4.0)
            assert len(drill.sinks["lab"].received) > before + 100
            await drill.sinks["ward"].start()
        await drill.verify()
        record(drill)


async def test_a_moody_destination_and_kills_at_once(ground, seed, record):
    """P3, P4 with every unclear answer while the engine is killed."""
    async with Drill(ground, seed, Plan(timeout="500ms", patients=32, more=RETRY)) as drill:
        sink = drill.sinks["lab"]
        sink.patience = 0.7
        sink.mood = moody(drill, (*UNCLEAR, "AE", "slow"), 0.1)
        await drill.load()
        for _ in range(10):
            await drill.run(0.5, 2.0)
            await drill.kill_engine()
        await drill.verify()
        record(drill)
