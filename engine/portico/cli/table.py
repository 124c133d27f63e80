"""The commands by name; a command's module is loaded when it is called, not for `--help`."""

from typing import NamedTuple


class Command(NamedTuple):
    """where: `module:function`; summary: the first line of that function's docstring. Or a
    `module:mapping` of names to functions, which are its commands.
    """

    where: str
    panel: str
    summary: str


SITE, ENGINE, MESSAGES, PEERS = "A site", "A running engine", "Messages", "Other systems"

COMMANDS: dict[str, Command] = {
    "init": Command(
        "portico.cli.init:init", SITE, "Make a new site folder that runs as it is."
    ),
    "check": Command(
        "portico.cli.check:check",
        SITE,
        "Say all that is wrong with a site, without running it.",
    ),
    "test": Command(
        "portico.cli.cases:test",
        SITE,
        "Run a site's cases: real agents, no sockets, no journal.",
    ),
    "run": Command("portico.cli.run:run", SITE, "Run the engine until it is told to stop."),
    "status": Command(
        "portico.cli.engine:status", ENGINE, "Show what runs, and that nothing is missing."
    ),
    "reload": Command(
        "portico.cli.engine:reload",
        ENGINE,
        "Check the site and swap it in, or keep the old one.",
    ),
    "pause": Command(
        "portico.cli.operate:pause",
        ENGINE,
        "Take or send nothing more; what is under way ends.",
    ),
    "resume": Command("portico.cli.operate:resume", ENGINE, "Take or send again."),
    "drain": Command(
        "portico.cli.operate:drain", ENGINE, "Work off what is there, then pause."
    ),
    "stop": Command(
        "portico.cli.operate:stop",
        ENGINE,
        "Ask the engine to drain and end; or cut off a channel or destination.",
    ),
    "alarms": Command(
        "portico.cli.operate:ALARMS", ENGINE, "List the alarms that are open, try a sink."
    ),
    "retention": Command(
        "portico.cli.retention:retention",
        ENGINE,
        "Show which days' messages go when, and which must stay.",
    ),
    "hold": Command(
        "portico.cli.retention:hold",
        MESSAGES,
        "Keep a Signal, or a patient's, beyond retention: their days are not dropped.",
    ),
    "unhold": Command("portico.cli.retention:unhold", MESSAGES, "End a legal hold."),
    "holds": Command("portico.cli.retention:holds", MESSAGES, "List the legal holds."),
    "doctor": Command(
        "portico.cli.doctor:doctor", ENGINE, "Look at the machine, the ports and the site."
    ),
    "signals": Command("portico.cli.journal:signals", MESSAGES, "List Signals, newest first."),
    "show": Command(
        "portico.cli.journal:show", MESSAGES, "Show one Signal with all it caused."
    ),
    "hl7": Command(
        "portico.cli.hl7:COMMANDS",
        MESSAGES,
        "Show, compare, check, convert or de-identify messages in files.",
    ),
    "send": Command(
        "portico.cli.peers:send", PEERS, "Send messages to an MLLP peer and print its answers."
    ),
    "load": Command(
        "portico.cli.peers:load", PEERS, "Put load on an MLLP peer and measure its answers."
    ),
    "version": Command("portico.cli.engine:version", ENGINE, "Print this program's version."),
}
