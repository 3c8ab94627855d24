"""Background work: in threads, in a persistent process, or as a command."""
