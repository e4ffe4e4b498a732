"""What happened: the ledger of fires, the runs and their traces, the webhooks that are owed.

Functions named for the question, over a connection of `storage`: writers are handed to
`Database.run`, readers also work on `open_readonly`. Nothing here has a clock.

- `ledger`: a fire becomes due, starts, ends; `recovery`: what a dead service left open
- `writing`: writes that outlast a full disk
- `deliveries`: the outbox's rows; `retention`: what is old enough to go
- `reading`: the questions of commands and pages; `tables`, `tree`: the answers as text
"""
