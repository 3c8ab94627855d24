"""Work beside whatever waits for it: in a thread, in one process that stays, or as a command line."""
