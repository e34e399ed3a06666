"""Pure functions over bytes and documents: what a module is, which tools it has, what is wrong with it."""
