"""The length of a training: measured on the machine, planned for a time limit, and continued beyond its end."""
