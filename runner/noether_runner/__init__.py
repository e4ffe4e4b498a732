"""The runner: reads one request, interprets one graph, reports what happened."""
