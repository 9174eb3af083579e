"""What engines, their configurations and their callers agree on: configuration and card, errors, progress."""
