"""What becomes of a step by a person's act, beside what portico.errors knows of steps."""

from portico.errors import StepError


class StepCancelled(StepError):
    """A person ended the session before it had a verdict."""

    code = "step.cancelled"


class EditionGone(StepError):
    """What a version was made of is not in the journal, or does not load any more."""

    code = "step.edition_gone"
