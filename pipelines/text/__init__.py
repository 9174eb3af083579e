"""What several capabilities do with text in the languages of the world."""
