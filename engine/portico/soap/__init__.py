"""SOAP as values: WSDLs, envelopes, faults, user tokens. No sockets, no files but WSDLs."""
