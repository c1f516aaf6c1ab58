"""The parts of the fast multipole method: the tree, the expansions, and what runs over them."""
