"""Batch scoring into folders of Parquet files."""
