"""The HTTP routes, one file per family. Each has `router(graph)`."""
