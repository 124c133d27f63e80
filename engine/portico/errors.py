"""Every error the engine raises on purpose, and what each one makes us do.

PorticoError
├── ConfigError            the site's files are wrong: refuse to start, name file and line
│   ├── SecretMissing      a `${...}` reference that leads nowhere
│   └── SiteInvalid        one or more findings of `check`, all of them at once
├── WireError              framing broken, no message to answer: close the connection
│   ├── FrameTooLarge
│   ├── FrameBroken
│   └── ListenFailed       a port or path cannot be opened: this channel alone is down
├── MessageError           whole but unacceptable: answer AE or AR with an ERR segment
│   ├── NotHl7
│   ├── PathInvalid
│   ├── CharsetUnknown
│   ├── TextUndecodable
│   ├── TextUnencodable
│   └── ContentInvalid     JSON, XML or CSV that is not what it says
├── StepError              a pipeline step failed: the session faults, the Signal is kept
│   ├── Transient          may work later: by `retry`, holding its order key
│   ├── Permanent          will fail again: by `on_error`
│   ├── StepTimeout
│   └── StepCrashed        the worker process died while it ran
├── WorkerError            a worker said what the protocol forbids: it is killed and replaced
└── JournalError           we cannot remember: stop accepting, answer nothing, close
    ├── JournalUnavailable
    ├── JournalUnclear     the connection was lost during COMMIT: stored or not, unknown
    ├── JournalFenced      another engine holds our lease: stop at once
    ├── JournalRefused     the database refused a statement: a row it cannot hold, or our mistake
    ├── JournalLocked      another engine uses this data folder: refuse to start
    ├── JournalUnsafe      fsync off, a standby, a version too old: refuse to start
    └── JournalFromFuture  its schema is newer than this engine
"""


class PorticoError(Exception):
    """The root; `code` is stable and documented in docs/errors.md."""

    code = "portico"


class ConfigError(PorticoError):
    """The site's files are wrong."""

    code = "config"


class SecretMissing(ConfigError):
    """A secret reference that leads nowhere. The text names the reference, never a value."""

    code = "config.secret_missing"


class SiteInvalid(ConfigError):
    """The site has findings of severity error; `findings` holds them all."""

    code = "config.site_invalid"

    def __init__(self, findings: tuple[object, ...]) -> None:
        super().__init__("\n".join(str(f) for f in findings))
        self.findings = findings


class WireError(PorticoError):
    """Framing is broken; there is no message to answer."""

    code = "wire"


class FrameTooLarge(WireError):
    """A frame passed the listener's limit."""

    code = "wire.frame_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"frame exceeds {limit} bytes")
        self.limit = limit


class FrameBroken(WireError):
    """Bytes that the framing forbids, in strict mode."""

    code = "wire.frame_broken"


class ListenFailed(WireError):
    """A port or path cannot be opened."""

    code = "wire.listen_failed"


class MessageError(PorticoError):
    """A whole message that cannot be taken as it is.

    location: HL7 path such as `PID-5.1` when known; it becomes ERR-2.
    """

    code = "message"

    def __init__(self, text: str, location: str | None = None) -> None:
        super().__init__(text)
        self.location = location


class NotHl7(MessageError):
    """No MSH, or one that cannot be read."""

    code = "message.not_hl7"


class PathInvalid(MessageError):
    """A path that is not of the language of places."""

    code = "message.path_invalid"


class CharsetUnknown(MessageError):
    """MSH-18 names a character set that we do not know."""

    code = "message.charset_unknown"


class TextUndecodable(MessageError):
    """A byte outside the message's character set."""

    code = "message.text_undecodable"


class TextUnencodable(MessageError):
    """A character that the outbound character set cannot carry."""

    code = "message.text_unencodable"


class ContentInvalid(MessageError):
    """JSON, XML or CSV that is not what the channel says it is."""

    code = "message.content_invalid"


class StepError(PorticoError):
    """A step failed; the session faults and the Signal is kept."""

    code = "step"


class Transient(StepError):
    """May work later: tried again by the agent's `retry`, holding its order key."""

    code = "step.transient"


class Permanent(StepError):
    """Will fail again: the step's or agent's `on_error` decides."""

    code = "step.permanent"


class StepTimeout(StepError):
    """A step passed its deadline."""

    code = "step.timeout"


class StepCrashed(StepError):
    """The worker process died while it ran this Signal."""

    code = "step.crashed"


class WorkerError(PorticoError):
    """A worker said what the protocol forbids."""

    code = "worker"


class JournalError(PorticoError):
    """The journal cannot be written or read."""

    code = "journal"


class JournalUnavailable(JournalError):
    """No connection, or an operation passed its deadline; nothing was stored."""

    code = "journal.unavailable"


class JournalRefused(JournalError):
    """The database said no to a statement; nothing of the batch is stored. state: SQLSTATE."""

    code = "journal.refused"

    def __init__(self, text: str, state: str) -> None:
        super().__init__(text)
        self.state = state


class JournalUnclear(JournalError):
    """The connection was lost during COMMIT: stored or not, nobody knows yet."""

    code = "journal.unclear"


class JournalFenced(JournalError):
    """Another engine has taken our lease."""

    code = "journal.fenced"


class JournalRefused(JournalError):
    """The database refused a statement; `sqlstate` says why, and nothing was stored."""

    code = "journal.refused"

    def __init__(self, text: str, sqlstate: str) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


class JournalLocked(JournalError):
    """Another engine uses this data folder."""

    code = "journal.locked"


class JournalUnsafe(JournalError):
    """The database would lose what it confirmed, or is too old."""

    code = "journal.unsafe"


class JournalFromFuture(JournalError):
    """The journal's schema is newer than this engine understands."""

    code = "journal.from_future"
