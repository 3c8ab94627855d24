"""Commands that create and inspect stacks."""
