"""Puts this tick beside the last one: what is new, and whether anybody needs to know."""


def execute(tick):
    finished = tick["counts"]["done"] - tick["last"]["done"]
    return {
        "tick": tick["last"]["tick"] + 1,
        "counts": tick["counts"],
        "stalled": tick["stalled"],
        "finished_since": finished,
        "worth_telling": finished != 0 or bool(tick["stalled"]),
    }
