"""What to do: the pure heart of the supervisor, without I/O, clock or process.

`decide(state, event)` answers every event with a new state and the actions to carry out.
"""
