"""Commands that make stacks and look at them."""
