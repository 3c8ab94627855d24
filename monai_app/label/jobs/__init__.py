"""What the server computes: inferences in a process of their own, trainings, batches and scorings beside it."""
