"""What the documents of destinations that make files have in common."""

from typing import Literal

from portico.language.template import Template
from portico.spec.fields import Options
from portico.spec.rules import TemplateField


class FileTarget(Options):
    """path: the folder; on a server it has to be there. file: template of the name, rendered
    when the Delivery is made. exists: what to do when another file has that name.
    """

    path: str
    file: TemplateField = Template.parse("{received:%Y%m%d%H%M%S}-{id}.hl7")
    exists: Literal["fail", "number", "replace"] = "number"
