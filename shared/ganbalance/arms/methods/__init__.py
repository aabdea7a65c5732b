"""Methods that balance training examples: one file each, found by file name."""
