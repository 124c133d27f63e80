"""A channel's document as the values that its intake decides by."""

from portico.policy.answer import Answering
from portico.policy.routing import Rules
from portico.spec.channel import Channel, Duplicates


def rules_of(channel: Channel) -> Rules:
    """What is read of a content before it is journaled."""
    repeats = channel.duplicates
    wanted = repeats.same == "answer" or repeats.changed != "process"
    return Rules(
        channel.name,
        channel.content,
        channel.charset.name,
        channel.charset.on_error,
        channel.order_by,
        repeats.key if wanted else None,
        repeats.key == Duplicates().key,
    )


def answering_of(channel: Channel) -> Answering:
    """How its sender is told."""
    told = channel.acknowledge
    return Answering(told.when, told.mode, told.on_error, told.on_refuse, told.text)
