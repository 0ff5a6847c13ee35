"""What it was worth: maps, scores, benchmarks and the report."""
