"""What runs inside the stage's own process: standard library only, no import of the runner."""
