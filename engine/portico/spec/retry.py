"""RetryPolicy: when to try again, with one meaning for agents and destinations."""

from pydantic import Field

from portico.spec.fields import Duration, Options, Span
from portico.units import FOREVER


class RetryPolicy(Options):
    """Seconds. first: before the second try; doubled each time up to `most`; `for_`: the whole
    time from the first try on, after which it counts as rejected (a destination) or faulted.
    """

    first: Span = 1.0
    most: Span = 60.0
    for_: Duration = Field(default=FOREVER, alias="for")
