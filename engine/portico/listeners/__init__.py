"""Sources: bytes in, Receipt out. They know neither HL7 nor the journal, nor each other."""
