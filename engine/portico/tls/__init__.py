"""Transport security: contexts that follow their files, the check of a peer, TLS on streams."""
