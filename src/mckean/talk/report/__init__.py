"""The report: figures, tables and the page made of them. The only floor that imports matplotlib.

It takes half a second to import: `writing` and `page` wait until the first chapter has begun.
"""
