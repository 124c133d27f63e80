"""Framers: feed() bytes, get frames. Pure: no socket, no clock, no HL7."""
