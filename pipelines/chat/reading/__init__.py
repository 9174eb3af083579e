"""Reading without a language model: words, sentences, questions, and which sentences answer.

Plain lexical work on English and Chinese, helped by sentence embeddings where the embedding model knows the language.
"""
