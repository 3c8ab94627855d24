"""Annotations that come after the ingestion, and their history."""
