"""What becomes of a step by a person's act, beside what portico.errors knows of steps."""

from portico.errors import StepError


class StepCancelled(StepError):
    """A person ended the session before it had a verdict."""

    code = "step.cancelled"
