"""Compare several runs: what differs between them, curves along it, and where verdicts change."""
