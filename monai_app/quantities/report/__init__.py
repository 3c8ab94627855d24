"""The results as files, text and figures."""
