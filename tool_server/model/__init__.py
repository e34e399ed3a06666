"""The values that travel through the house: frozen, pure, without I/O."""
