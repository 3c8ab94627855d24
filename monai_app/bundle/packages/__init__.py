"""A trained model as one zip file that says what is in it and proves that it still works."""
