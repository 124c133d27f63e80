"""What comes in: sources opened and read, messages journaled, their senders answered."""
