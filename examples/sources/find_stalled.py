"""Names the tasks that have been in progress for longer than the team wants."""


def execute(request):
    limit = request["stalled_after_days"]
    return [
        task["title"]
        for task in request["board"]["tasks"]
        if task["state"] == "doing" and task["days_in_state"] > limit
    ]
