"""Text in many languages: scripts, sentences, search terms, OCR."""
