"""All that a transform may import of the engine.

A transform is a function in the site's `transforms/`, named by a step as
`python: transforms.phones:normalize`:

    from portico.authoring import Message, Permanent, Transient, log, table

    def normalize(msg: Message) -> None:
        number = msg.get("PID-13.1")
        if number in table("country_codes"):
            msg["PID-13.1"] = ...

It is called once for each message, as `normalize(msg)` or with the step's `with:` as
keywords. For JSON content it gets the parsed value, for opaque content bytes. It may

- change the message in place and return nothing;
- return what takes its place: a Message, bytes or text, for JSON a value;
- with the step's `into:` return a JSON value, which later steps read as a place;
- raise Transient, when trying again later may help: the message waits and keeps its order;
- raise Permanent, when it will not: the step's `on_error` decides. The texts of these two are
  shown to people and logged: no patient data in them. Of any other exception only its type
  and line are shown;
- say what it does, for people who look: `log("info", "...")`, which is kept, without patient
  data, and `progress(3, 12)`, which is not.

It is killed when it runs longer than the step's `timeout`. It has no sockets, no secrets and
no files but the site's; it must give the same answer for the same message, so that a replay
does.
"""

from portico.errors import MessageError, Permanent, Transient
from portico.hl7.datetimes import DateTime
from portico.hl7.message import Message
from portico.hl7.reading import DELETED, Deleted
from portico.hl7.view import Segment
from portico.language.tables import Table
from portico.steps.ambient import log, progress, table

__all__ = [
    "DELETED",
    "DateTime",
    "Deleted",
    "Message",
    "MessageError",
    "Permanent",
    "Segment",
    "Table",
    "Transient",
    "log",
    "progress",
    "table",
]
