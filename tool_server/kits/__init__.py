"""What plugin authors use: one folder for each language, and the back ends of `extism-registry build`."""
