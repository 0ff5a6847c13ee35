"""Corpora: tiles on disk, written whole and proven whole."""
