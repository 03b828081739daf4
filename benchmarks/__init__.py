"""What the project measures itself by; `python -m benchmarks --help` lists it."""
