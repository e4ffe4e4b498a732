"""Counts the tasks of a board by state."""

from collections import Counter


def execute(request):
    counts = Counter(task["state"] for task in request["board"]["tasks"])
    return {"todo": counts["todo"], "doing": counts["doing"], "done": counts["done"]}
