"""The index of documents: LanceDB, ranking, and what an object store must promise for it."""
