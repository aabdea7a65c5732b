"""Every error a user can meet, and the exit code each one ends a program with.

    GanbalanceError
    ├── ConfigError       78  the request is wrong: a key, a type, a value, a setting
    ├── DataError         65  what was read is missing, corrupt or contradicts itself
    ├── UnavailableError  75  the store or the node went away: the same command may succeed later
    └── Stopped          143  SIGTERM or Ctrl-C, after a checkpoint: the same command resumes

A message is one line: which rule, what was given, where, what to do next.
Anything else that is raised is a bug and ends with 1.
"""

from typing import ClassVar

EXIT_DONE = 0
EXIT_BUG = 1
EXIT_DISK = 74  # of a pod whose disk is full: unlike with 75, another pod is one more try


class GanbalanceError(Exception):
    """Base of all errors that a user reads as one line."""

    exit_code: ClassVar[int] = EXIT_BUG


class ConfigError(GanbalanceError):
    """The request is wrong; nothing has run yet."""

    exit_code = 78


class DataError(GanbalanceError):
    """Something that was read is missing, corrupt or contradicts itself."""

    exit_code = 65


class UnavailableError(GanbalanceError):
    """The store or the node went away; trying again may help."""

    exit_code = 75


class Stopped(GanbalanceError):  # noqa: N818 - not an error of anyone's
    """The process was asked to stop and has saved what it needs to go on."""

    exit_code = 143
