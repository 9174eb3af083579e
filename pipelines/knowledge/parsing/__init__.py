"""The parsers of documents, run in a process of their own by `pipelines.knowledge.parsing.documents`."""
