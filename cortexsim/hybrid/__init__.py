"""Trainable networks inside the cortex: some areas of a model are leaky RNNs, the rest keep their biology."""

from cortexsim.hybrid.embedding import Channel, Embedding
from cortexsim.hybrid.model import Drive, Hybrid, HybridParameters, embed
from cortexsim.hybrid.transplant import transplant

__all__ = ["Channel", "Drive", "Embedding", "Hybrid", "HybridParameters", "embed", "transplant"]
