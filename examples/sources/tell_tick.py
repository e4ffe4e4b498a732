"""Says in one line what the team should know."""


def execute(tick):
    counts = tick["counts"]
    parts = [f"tick {tick['tick']}: {counts['done']} done, {counts['doing']} in progress"]
    if tick["finished_since"]:
        parts.append(f"{tick['finished_since']:+d} since the last tick")
    if tick["stalled"]:
        parts.append("stalled: " + ", ".join(tick["stalled"]))
    return {"tick": tick["tick"], "message": "; ".join(parts)}
