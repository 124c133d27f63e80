"""A channel's document as the values that its intake decides by."""

from portico.language import order
from portico.policy.answer import Answering, BatchRules
from portico.policy.routing import Rules
from portico.spec.channel import Channel, Duplicates
from portico.spec.content import carries_any


def rules_of(channel: Channel, first: str = "") -> Rules:
    """What is read of a content before it is journaled. first: its name at first."""
    repeats = channel.duplicates
    wanted = repeats.same == "answer" or repeats.changed != "process"
    return Rules(
        channel.name,
        channel.content.form,
        channel.charset.name,
        channel.charset.on_error,
        channel.order_by.keys,
        repeats.key if wanted else None,
        repeats.key == Duplicates().key,
        order.beside(channel.order_by),
        getattr(channel.source.options, "idempotency", None) or "",
        carries_any(channel.source.type, channel.source.options),
        first,
    )


def answering_of(channel: Channel, confirmed: bool = False) -> Answering:
    """How its sender is told. A source's own `reply` is the whole answer. confirmed: who
    takes its deferred answers is to confirm them."""
    told, reply = channel.acknowledge, getattr(channel.source.options, "reply", None)
    return Answering(
        told.when,
        told.mode,
        told.on_error,
        told.on_refuse,
        reply or told.text,
        bool(reply),
        told.reply,
        told.deferred or "",
        "AL" if confirmed else "NE",
    )


def batch_of(channel: Channel) -> BatchRules | None:
    """How several messages in one frame, or rows of a CSV file, are taken; None: not at all."""
    if channel.batch.counts == "no" or channel.content.type not in ("hl7", "csv"):
        return None
    return BatchRules(channel.batch.counts, channel.batch.reply)
