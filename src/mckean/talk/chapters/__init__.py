"""The chapters of the talk, each run and judged."""

from mckean.talk.chapters import (
    chaos,
    collapse,
    common_noise,
    conditional,
    coupling,
    dissipation,
    fluctuations,
    geodesics,
    gibbs,
    gradient_flow,
    homogenisation,
    ledger,
    limit,
    liouville,
    long_time,
    passive,
    real,
    singular,
    summation,
    synchronisation,
    tokens,
    toy,
    transition,
    uniqueness,
)

CHAPTERS = {
    module.CHAPTER.name: module.CHAPTER
    for module in (
        fluctuations,
        limit,
        coupling,
        chaos,
        liouville,
        gibbs,
        dissipation,
        transition,
        geodesics,
        gradient_flow,
        long_time,
        singular,
        summation,
        common_noise,
        conditional,
        ledger,
        passive,
        uniqueness,
        synchronisation,
        toy,
        homogenisation,
        collapse,
        tokens,
        real,
    )
}
"""The chapters by name, in the order of the talk."""
