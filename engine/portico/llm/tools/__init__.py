"""Built-in tools of models: each reads its Desk, and changes nothing but the files there."""
