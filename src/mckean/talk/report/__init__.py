"""The report: figures, tables and the page made of them. The figures have the look of `mckean.plot`.

It takes half a second to import: `writing` and `page` wait until the first chapter has begun.
"""
