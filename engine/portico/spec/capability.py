"""`capabilities:` of the configuration: what `llm` steps may use beside their prompt."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from portico.spec.fields import ONE_OR_MANY, Name, Options, Text
from portico.spec.models import Phi
from portico.spec.plugin import Inside

Approve = Literal["always", "never", "review"]


class Grant(Options):
    """How a plugin's tool may be used. approve: without asking anybody, not at all, or once a
    person agrees. phi: what its results may hold."""

    short: ClassVar[str] = "approve"

    approve: Approve = "review"
    phi: Phi = "allowed"


class Capability(Options):
    """text: a file of words for the model, placed `position` the prompt. tools: by
    `plugin.tool`. tables: those that `code_tables` has; files: those that `session_files`
    begins with, below the site."""

    text: Inside = ""
    position: Literal["before", "after"] = "before"
    tools: dict[Text, Grant] = Field(default_factory=dict)
    tables: Annotated[tuple[Name, ...], ONE_OR_MANY] = ()
    files: Annotated[tuple[Inside, ...], ONE_OR_MANY] = ()
