"""Sessions with servers that hold files, as listeners and destinations use them alike."""
