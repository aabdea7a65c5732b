"""Count things in messages and pages."""


def plural(count: int, noun: str) -> str:
    """Format as '1 seed', '5 seeds'."""
    return f"{count:,} {noun}{'s' * (count != 1)}"
