"""How long a training is: how far it has come, and how many epochs it makes of a time."""
