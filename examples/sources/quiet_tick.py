"""Nothing to tell: the tick is only counted."""


def execute(tick):
    return {"tick": tick["tick"], "message": None}
