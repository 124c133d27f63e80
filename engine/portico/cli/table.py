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
    "schedules": Command(
        "portico.cli.schedules:schedules",
        SITE,
        "Show when the schedules of a site fire next, or fire one now.",
    ),
    "plugins": Command(
        "portico.cli.plugins:PLUGINS",
        SITE,
        "List a site's plugins, check that they work here, call a tool by hand.",
    ),
    "certs": Command(
        "portico.cli.certs:CERTS", SITE, "Make certificates for trials, show those of a site."
    ),
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
    "backup": Command(
        "portico.cli.backup:backup",
        ENGINE,
        "Back up the embedded journal and the site's files, while the engine works.",
    ),
    "restore": Command(
        "portico.cli.backup:restore",
        ENGINE,
        "Make a data folder of a backup: proved whole, started once, its destinations paused.",
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
    "signal": Command(
        "portico.cli.signal:signal",
        MESSAGES,
        "Make a Signal for an agent, and wait for its result.",
    ),
    "cancel": Command(
        "portico.cli.signal:cancel",
        MESSAGES,
        "End the sessions of a Signal that have no verdict yet: it is parked.",
    ),
    "parked": Command(
        "portico.cli.parked:parked",
        MESSAGES,
        "List messages that wait for a person, with the reason.",
    ),
    "release": Command(
        "portico.cli.parked:release",
        MESSAGES,
        "Let parked messages go on: Deliveries to their queue, Signals to their agents.",
    ),
    "discard": Command(
        "portico.cli.parked:discard",
        MESSAGES,
        "Give parked messages up for good; they stay in the journal.",
    ),
    "edit": Command(
        "portico.cli.parked:edit",
        MESSAGES,
        "Let a changed copy take the place of a parked message; the original is kept.",
    ),
    "resend": Command(
        "portico.cli.parked:resend",
        MESSAGES,
        "Send the same bytes once more to one destination.",
    ),
    "replay": Command(
        "portico.cli.replay:replay",
        MESSAGES,
        "Run old Signals anew, through the agents of today or those that ran them.",
    ),
    "jobs": Command(
        "portico.cli.replay:jobs",
        MESSAGES,
        "List replays of many, newest first; watch or cancel one.",
    ),
    "review": Command(
        "portico.cli.review:COMMANDS",
        MESSAGES,
        "Answers of language models that wait for a person: list, approve, edit, reject.",
    ),
    "acts": Command(
        "portico.cli.parked:acts", MESSAGES, "List what people did to messages, newest first."
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
