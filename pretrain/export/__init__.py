"""Weights for others: as ONNX, and as what a STAC catalogue says of a model."""
