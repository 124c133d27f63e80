"""The nouns: frozen values that every floor above may hold. They touch nothing."""
