"""How long a training is: measured on the machine, planned for a time, and continued beyond its end."""
