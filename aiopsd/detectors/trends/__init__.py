"""Lines through long history, in bounded memory: the inside of ``forecast``."""
