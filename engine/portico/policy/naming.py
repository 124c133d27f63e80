"""What a Delivery's file is called where its `send` does not say."""

from collections.abc import Mapping
from typing import Any

from portico.errors import MessageError
from portico.ids import SignalId
from portico.language import filename, template
from portico.language.content import AUTO, Content, open_content
from portico.language.context import Context
from portico.language.template import Template


def file_name(
    made: Template,
    content: bytes,
    envelope: Mapping[str, Any],
    signal: SignalId,
    number: int,
    form: Content = AUTO,
) -> str:
    """The name for a Signal's number-th Delivery; from the second on it ends with the number,
    so that the parts of one message never meet. Empty when the template cannot be made of
    this content: the destination then names the file by the Delivery. form: of the content
    that this one was made from.
    """
    try:
        context = Context(open_content(form.like(content), content), {**envelope, "id": signal})
        name = template.file_name(made.render(context))
    except MessageError:
        return ""
    return name if number == 1 else filename.numbered(name, number)
