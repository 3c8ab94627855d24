"""What was measured, as a folder of files and as text."""
