"""The worked examples of samples/plugins: one contract in three languages, and a code table."""

import shutil
from pathlib import Path

import pytest

from portico.check.plugins import read_registry
from portico.clock import SystemClock
from portico.events.metrics import Metrics
from portico.plugins.faults import PluginFailed, PluginMisfit
from portico.plugins.plugins import Plugins
from portico.spec.finding import Severity
from portico.spec.site import Config

SAMPLE = Path(__file__).parents[2] / "samples/plugins"
NEEDS = {"calc_js": "node", "calc_java": "java"}


@pytest.fixture
async def plugins():
    """The sample's plugins, as the engine runs them."""
    registered, findings = read_registry(SAMPLE, Config())
    assert [one for one in findings if one.severity is Severity.ERROR] == []
    made = Plugins(
        SAMPLE,
        {"PATH": "/usr/bin:/bin:/usr/local/bin"},
        clock=SystemClock(),
        emit=lambda event: None,
        metrics=Metrics(),
    )
    made.adopt({name: (one.plugin, one.tools) for name, one in registered.items()})
    yield made
    await made.stop(5.0)


@pytest.fixture(params=["calc_py", "calc_js", "calc_java"])
def calc(request):
    """A plugin's name; skipped where the machine cannot run its language."""
    program = NEEDS.get(request.param)
    if program and shutil.which(program) is None:
        pytest.skip(f"this machine has no {program}")
    return request.param


async def test_arithmetic_is_the_same_in_every_language(plugins, calc):
    """10 + 5 = 15, 10 x 5 = 50, 10 - 5 = 5."""
    pair = {"a": 10, "b": 5}

    said = [
        await plugins.call("a", "s", f"{calc}.{verb}_numbers", pair, 30.0)
        for verb in ("add", "multiply", "subtract", "divide")
    ]

    assert [float(one.removeprefix(b'{"result":')[:-1]) for one in said] == [15, 50, 5, 2]


async def test_a_division_by_zero_is_a_typed_failure(plugins, calc):
    """A code that the registry knows, permanent, and no word of the tool's own."""
    with pytest.raises(PluginFailed) as failed:
        await plugins.call("a", "s", f"{calc}.divide_numbers", {"a": 10, "b": 0}, 30.0)

    assert str(failed.value) == f"{calc}.divide_numbers: division_by_zero"
    assert failed.value.transient is False


async def test_arguments_that_do_not_fit_never_reach_the_plugin(plugins):
    """The place is named, the value is not."""
    with pytest.raises(PluginMisfit) as failed:
        await plugins.call("a", "s", "calc_py.add_numbers", {"a": "MUSTER", "b": 1}, 30.0)

    assert "/a" in str(failed.value)
    assert "MUSTER" not in str(failed.value)
    assert plugins.status()["calc_py"]["processes"] == 0


async def test_a_code_table_on_the_official_sdk(plugins):
    """A server of the SDK's own, found and refused."""
    found = await plugins.call("a", "s", "codes.look_up", {"code": "K"}, 30.0)

    assert b'"2823-3"' in found
    with pytest.raises(PluginFailed, match=r"codes\.look_up: unknown_code"):
        await plugins.call("a", "s", "codes.look_up", {"code": "XYZ"}, 30.0)
