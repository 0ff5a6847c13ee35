"""Narrowing: a recipe brought near to real tiles that nobody has labelled."""
