"""The checker that the import hook applies: an int is a float, as Python's typing has it."""

from beartype import BeartypeConf, beartype

checker = beartype(conf=BeartypeConf(is_pep484_tower=True))
