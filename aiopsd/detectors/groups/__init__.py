"""Series that are judged together: who belongs to whom, and when a round of theirs is whole."""
