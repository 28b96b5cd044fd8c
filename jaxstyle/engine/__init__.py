"""The engine: a plan, the scales it goes through, and the loop that runs it; `transfer` and `sweep`."""
