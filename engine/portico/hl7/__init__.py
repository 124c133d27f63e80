"""HL7 version 2 as bytes and values: view, edit, escapes, character sets, acknowledgement.

Pure: no clock, chance, socket, log, and no file but the table of names beside names.py.
Everything above may import it; it imports only the ground and never `wire` or `model`.
"""
