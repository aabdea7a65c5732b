"""Stores by the scheme of their URL, one file each, found by its name: `s3.py` is s3://."""
