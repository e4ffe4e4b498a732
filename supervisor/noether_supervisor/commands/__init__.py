"""What the subcommands of `noether-scheduler` do; `cli.py` imports the one that was asked for."""
