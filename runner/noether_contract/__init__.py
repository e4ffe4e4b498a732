"""The contract between supervisor and runner: messages, outcomes, framing, exit codes, JSON values.

Both programs import this package; it imports neither of them.
"""
