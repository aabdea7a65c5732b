"""Losses of the linear head: one file each, found by file name."""
