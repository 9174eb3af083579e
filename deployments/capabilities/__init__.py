"""The capabilities: one Ray Serve deployment each."""
