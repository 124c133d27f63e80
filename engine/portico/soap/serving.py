"""What a SOAP request asks for: a test of the line, or a message to take; else a fault.

The message is one text argument of an operation: the profile's, else the first that begins as
HL7 does; of a channel of XML it is the operation's whole element. The answer goes into the
answer's one text element, or is that answer's whole element. PROTOCOLS W1 to W7, I1 to I5.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from lxml import etree

from portico.errors import HttpBroken
from portico.soap import envelope
from portico.soap.envelope import NEW, SECURITY, SoapEnvelope, SoapFault
from portico.soap.service import Operation, Profile, Service, filled, own
from portico.soap.xml import Element, alone, written

_FEWEST, _EACH = 100_000, 16  # elements of a request; beyond them one for so many bytes
_STARTS = ("MSH", "FHS", "BHS")
_SECOND = re.compile(r"[\r\n][ \t]*MSH")  # linear: only the last line end of a run counts

# Judges a request: who sends it, by the arguments or the WS-Security header (None without).
# True: may send.
Judge = Callable[[str, str, Element | None], bool]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was understood. content: the message; None: `echo` is the answer.

    about: other arguments, in lower case, that belong to the message.
    """

    envelope: SoapEnvelope
    operation: Operation
    content: bytes | None
    echo: str
    about: dict[str, str]


@dataclass(frozen=True, slots=True)
class SoapDesk:
    """One WSDL and how it is used. secured: WS-Security headers are looked at; whole: messages
    are operations' elements.
    """

    service: Service
    profile: Profile | None
    limit: int
    secured: bool
    whole: bool = False

    def read(self, body: bytes, version: str, judge: Judge) -> Asked:
        """What is asked for. Raises SoapFault, after the envelope is known to be one."""
        try:
            whole = envelope.read(body, version, max(_FEWEST, self.limit // _EACH))
        except HttpBroken as error:
            raise SoapFault("sender", str(error), self._general(str(error))) from error
        token = whole.header(SECURITY)
        if token is not None and not self.secured:
            raise SoapFault("sender", "WS-Security is not taken here")
        envelope.must_understand(whole, frozenset((SECURITY,)) if self.secured else frozenset())
        operation = self.service.operations.get(whole.body.tag)
        if operation is None:
            raise self._fault(self._name("unsupported"), "there is no such operation")
        if (wrong := self.service.misfit(alone(whole.body))) is not None:
            text = f"the request does not fit the WSDL, {wrong}"
            raise SoapFault("sender", text, self._general(text))
        return self._asked(whole, operation, token, judge)

    def _asked(
        self, whole: SoapEnvelope, operation: Operation, token: Element | None, judge: Judge
    ) -> Asked:
        said = {etree.QName(one).localname: one.text or "" for one in whole.body}
        profile = self.profile
        if profile is not None and operation.name == profile.echo:
            return Asked(whole, operation, None, said.get(profile.echo_back, ""), {})
        user, password = "", ""
        if profile is not None:
            user, password = said.get(profile.user, ""), said.get(profile.password, "")
        if not judge(user, password, token):
            fault = self._fault(self._name("security"), "user or password is not right")
            fault.stranger = True
            raise fault
        if self.whole:
            content = written(alone(whole.body))
            if len(content) > self.limit:
                raise self._too_large(len(content), "the message is too large")
            return Asked(whole, operation, content, "", {})
        text = self._message(whole.body, said)
        if self.profile is not None and _SECOND.search(text.strip()):
            raise self._too_large(len(text), "one message a submission")
        if len(content := text.encode("utf-8", "surrogatepass")) > self.limit:
            raise self._too_large(len(content), "the message is too large")
        about = {}
        if profile is not None and (facility := said.get(profile.facility)):
            about[profile.facility.lower()] = facility
        return Asked(whole, operation, content, "", about)

    def _message(self, body: Element, said: dict[str, str]) -> str:
        text = ""
        if self.profile is not None:
            text = said.get(self.profile.content, "")
        elif begins := [one for one in body if (one.text or "").lstrip()[:3] in _STARTS]:
            text = begins[0].text
            if sum(one.tag == begins[0].tag for one in begins) > 1:
                raise self._too_large(len(text), "one message a submission")
        if not text.strip():
            reason = "there is no message in the request"
            raise SoapFault("sender", reason, self._general(reason))
        return text

    def answer(self, asked: Asked, text: str) -> bytes:
        """The envelope that answers with this text; empty where the operation has no answer."""
        operation = asked.operation
        if operation.answers is None:
            return b""
        action = operation.answer_action or operation.action
        root, body = envelope.answer(asked.envelope, asked.envelope.version, action)
        if self.profile is None and (element := own(operation.answers, text)) is not None:
            body.append(element)
            return written(root)
        if self.profile is None:
            name = operation.result()
        else:
            echoes = operation.name == self.profile.echo
            name = self.profile.echoed if echoes else self.profile.answer
        body.append(filled(operation.answers, name, text))
        return written(root)

    def too_large(self, size: int) -> SoapFault:
        """A request that is refused by its length alone."""
        return self._too_large(size, "the request is too large")

    def failed(self, text: str) -> SoapFault:
        """We could not take it, and nothing is wrong with it."""
        return SoapFault("receiver", text, self._general(text))

    def refused(self, text: str) -> SoapFault:
        """It was looked at and is none of ours, and there is no ACK that could say so."""
        return SoapFault("sender", text, self._general(text))

    def _too_large(self, size: int, text: str) -> SoapFault:
        name = self._name("too_large")
        return self._fault(name, text, Size=size, MaxSize=self.limit)

    def _name(self, kind: str) -> str:
        return str(getattr(self.profile, kind)) if self.profile is not None else ""

    def _fault(self, name: str, text: str, **more: int) -> SoapFault:
        values = {"Code": 0, "Reason": text, "Detail": "", **more}
        made = self.service.element(name, **values) if name else None
        return SoapFault("sender", text, () if made is None else (made,))

    def _general(self, text: str) -> tuple[Element, ...]:
        name = self._name("general")
        made = self.service.element(name, Code=0, Reason=text, Detail="") if name else None
        return () if made is None else (made,)


def fault_version(content_type: str) -> str:
    """The version in which a request of that type is told a fault; 1.2 when it says neither."""
    return envelope.version_of(content_type) or NEW
