"""A talk on mean-field limits: its chapters, run and judged, and the report. The library does not know it."""
