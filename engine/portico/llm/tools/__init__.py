"""Built-in tools of models: each reads its desk, and changes nothing but the files there."""
