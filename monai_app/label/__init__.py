"""A stack as an annotation server's clients see it: cases to look at, labels that come back."""
