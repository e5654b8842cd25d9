"""Commands that reproduce the README's tables: ``python -m benchmarks.nwucla`` and so on, in the project's folder."""
