"""Every error the engine raises on purpose, and what each one makes us do.

PorticoError
├── ConfigError            the site's files are wrong: refuse to start, name file and line
│   ├── SecretMissing      a `${...}` reference that leads nowhere
│   ├── TypeUnknown        no source, destination or step of that name, or not built yet
│   ├── WsdlInvalid        a WSDL that cannot be read, or that SOAP here cannot serve
│   ├── TlsInvalid         the files of a `tls:` cannot be used
│   └── SiteInvalid        one or more findings of `check`, all of them at once
├── WireError              framing broken, no message to answer: close the connection
│   ├── FrameTooLarge
│   ├── FrameBroken
│   ├── HandshakeBroken    a TLS peer that may not come in, or will not let us
│   ├── HttpBroken         an HTTP request that is refused before its content is looked at
│   ├── ListenFailed       a port or path cannot be opened: this channel alone is down
│   ├── SourceAway         a place that is polled cannot be reached: it is tried again
│   └── FileLeft           a file that cannot be taken or finished: it waits for a person
├── MessageError           whole but unacceptable: answer AE or AR with an ERR segment
│   ├── NotHl7
│   ├── BatchInvalid       a batch file whose parts or counts are wrong, or too large
│   ├── RequiredMissing    a field that every message must have is empty
│   ├── PathInvalid
│   ├── CharsetUnknown
│   ├── TextUndecodable
│   ├── TextUnencodable
│   └── ContentInvalid     JSON, XML or CSV that is not what it says
├── StepError              a pipeline step failed: the session faults, the Signal is kept
│   ├── Transient          may work later: by `retry`, holding its order key
│   ├── Permanent          will fail again: by `on_error`
│   ├── RuleBroken         the content breaks a rule of `validate`, or a lookup finds nothing
│   ├── StepTimeout
│   └── StepCrashed        the worker process died while it ran
├── RequestError           an operator asked for what cannot be done: nothing has changed
│   └── NounUnknown        no channel, destination or sink of that name
├── WorkerError            a worker said what the protocol forbids: it is killed and replaced
└── JournalError           we cannot remember: stop accepting, answer nothing, close
    ├── JournalUnavailable
    ├── JournalUnclear     the connection was lost during COMMIT: stored or not, unknown
    ├── JournalFenced      another engine holds our lease: stop at once
    ├── JournalRefused     the database refused a statement; nothing of it is stored
    ├── JournalLocked      another engine uses this data folder: refuse to start
    ├── JournalUnsafe      fsync off, a standby, a version too old: refuse to start
    └── JournalFromFuture  its schema is newer than this engine
"""

from collections.abc import Iterable


class PorticoError(Exception):
    """The root; `code` is stable and documented in docs/errors.md."""

    code = "portico"


class ConfigError(PorticoError):
    """The site's files are wrong."""

    code = "config"


class SecretMissing(ConfigError):
    """A secret reference that leads nowhere. The text names the reference, never a value."""

    code = "config.secret_missing"


class TypeUnknown(ConfigError):
    """No type of that name; `planned`: the language knows it, this engine does not yet."""

    code = "config.unknown_type"

    def __init__(self, text: str, hint: str = "", *, planned: bool = False) -> None:
        super().__init__(f"{text}; {hint}" if hint else text)
        self.text, self.hint = text, hint
        self.planned = planned


class WsdlInvalid(ConfigError):
    """A WSDL that cannot be read, or that SOAP here cannot serve."""

    code = "config.wsdl"


class TlsInvalid(ConfigError):
    """A certificate, key or trust file that is not there, not readable or not fitting."""

    code = "config.tls"


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


class HttpBroken(WireError):
    """An HTTP request that is refused before its content is looked at. status: the answer's."""

    code = "wire.http_broken"

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class HandshakeBroken(WireError):
    """TLS was not agreed on. word: of tls/faults.py; unread: nobody can have read what left."""

    code = "wire.handshake_broken"
    unread = False

    def __init__(self, word: str, text: str) -> None:
        super().__init__(text)
        self.word = word


class ListenFailed(WireError):
    """A port or path cannot be opened."""

    code = "wire.listen_failed"


class SourceAway(WireError):
    """A place that is polled cannot be reached now. word: why, where that has one."""

    code = "wire.source_away"
    word = ""


class FileLeft(WireError):
    """A file that cannot be taken or finished. why: a word of events.fetching.FileKept."""

    code = "wire.file_left"

    def __init__(self, why: str, size: int, text: str) -> None:
        super().__init__(text)
        self.why = why
        self.size = size


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


class BatchInvalid(MessageError):
    """A batch file whose parts or counts are wrong, or one message of it is too large."""

    code = "message.batch_invalid"


class RequiredMissing(MessageError):
    """A field that every message must have is empty."""

    code = "message.required_missing"


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
    """A step failed; the session faults and the Signal is kept.

    text: one line without patient data. location: the HL7 path, when one is to blame. at:
    `file:line` when it is another than the step's own.
    """

    code = "step"

    def __init__(
        self, text: str = "", location: str | None = None, at: str | None = None
    ) -> None:
        super().__init__(text)
        self.location = location
        self.at = at


class Transient(StepError):
    """May work later: tried again by the agent's `retry`, holding its order key."""

    code = "step.transient"


class Permanent(StepError):
    """Will fail again: the step's or agent's `on_error` decides."""

    code = "step.permanent"


class RuleBroken(StepError):
    """The content breaks a rule. condition: its code of HL7 table 0357, for ERR-3."""

    code = "step.rule_broken"

    def __init__(self, text: str, location: str, condition: str) -> None:
        super().__init__(text, location)
        self.condition = condition


class StepTimeout(StepError):
    """A step passed its deadline."""

    code = "step.timeout"


class StepCrashed(StepError):
    """The worker process died while it ran this Signal."""

    code = "step.crashed"


class RequestError(PorticoError):
    """An operator asked for what cannot be done; nothing has changed."""

    code = "request"


class NounUnknown(RequestError):
    """No channel, agent, destination or sink of that name. known: those that there are."""

    code = "request.unknown_noun"

    def __init__(self, noun: str, name: str, known: Iterable[str]) -> None:
        there = ", ".join(sorted(known)) or "none"
        super().__init__(f"there is no {noun} {name!r}; there are: {there}")


class WorkerError(PorticoError):
    """A worker said what the protocol forbids."""

    code = "worker"


class JournalError(PorticoError):
    """The journal cannot be written or read."""

    code = "journal"


class JournalUnavailable(JournalError):
    """No connection, or an operation passed its deadline; nothing was stored."""

    code = "journal.unavailable"


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
