"""Routes that follow OpenAI's API."""
