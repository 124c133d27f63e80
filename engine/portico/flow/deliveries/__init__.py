"""What is owed to destinations: lanes in order, one message in flight in each, retries."""
