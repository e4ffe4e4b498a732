"""Being watched: logs, systemd, control socket."""
