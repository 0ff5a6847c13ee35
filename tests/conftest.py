"""Puts this folder on the import path: tests make their data with `tileset_maker` and `terrain_maker`."""
