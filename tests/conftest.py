"""Puts this folder on the import path, so that every test can fabricate its data with `tileset_maker`."""
