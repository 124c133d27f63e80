"""What can go wrong with a plugin; the step that called it fails.

PluginError
├── PluginFailed       its tool says so
├── PluginMisfit       what goes in or came out does not fit the tool's schema
├── PluginTimeout
├── PluginDied         its process ended, or was ended, while it worked
├── PluginNonsense     it said what the protocol forbids: it is killed and replaced
├── PluginUnclear      the engine died while it worked: nobody knows whether it was done
└── PluginAway         it does not start, is in quarantine, or too much waits for it
"""

from portico.errors import PorticoError


class PluginError(PorticoError):
    """A plugin did not do what a step asked. transient: a later try may work."""

    code = "plugin"

    def __init__(self, text: str = "", *, transient: bool = False) -> None:
        super().__init__(text)
        self.transient = transient


class PluginFailed(PluginError):
    """A tool says that it failed; the text holds a code that the registry knows, or none."""

    code = "plugin.failed"


class PluginMisfit(PluginError):
    """Arguments or a result that do not fit the tool's schema; the text names the place."""

    code = "plugin.misfit"


class PluginTimeout(PluginError):
    """A call passed its time limit."""

    code = "plugin.timeout"


class PluginDied(PluginError):
    """The process ended while it worked on the call."""

    code = "plugin.died"


class PluginNonsense(PluginError):
    """A plugin's server said what the protocol forbids."""

    code = "plugin.nonsense"


class PluginUnclear(PluginError):
    """The engine ended while a plugin that is not idempotent worked; it is not called again."""

    code = "plugin.unclear"


class PluginAway(PluginError):
    """No process of the plugin can take the call now."""

    code = "plugin.away"

    def __init__(self, text: str = "", *, transient: bool = True) -> None:
        super().__init__(text, transient=transient)
