"""Bridges to other libraries, one package each; each needs its library only when it is used."""
