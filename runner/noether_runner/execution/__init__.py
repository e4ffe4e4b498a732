"""How a composition runs: the interpreter, its budget and memory of pure calls, and the trace."""
