"""The contract between supervisor and runner: messages, outcomes, framing, exit codes, JSON values.

Both programs import this package; it imports neither of them.
"""

__version__ = "0.1.0"
