"""The length of a training: its progress, and its number of epochs within a time limit."""
