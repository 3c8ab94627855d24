"""Jobs of the server: inference in a worker process, and training, batches and scoring."""
