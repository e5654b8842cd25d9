"""Commands that make the tables of docs/results.md: ``python -m benchmarks.nwucla`` and so on, in a checkout."""
