"""Filters of synthetic images: one file each, found by file name."""
