"""Lists of well-known names, to guess what a name is that the glossary does not hold."""
