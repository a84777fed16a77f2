"""Losses beyond those of `ops.loss`, and the distances they are made of.

All are compositions: `likelihoods` measure against distributions, `margins` push classes and pairs
apart, `ctc` aligns sequences, `distances` are used by them and by themselves.
"""
