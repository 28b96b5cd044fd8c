"""Networks: pure functions from an image to features by layer name, and the table of the known architectures.

An architecture is a `Backbone`: a Linen module that says what its layers and parameters are. Preprocessing is not part
of it: it belongs to the file that the weights came from, and travels with them in a `Network`.
"""

from jaxstyle.networks.network import ARCHITECTURES, Network, layer_of, random_network
from jaxstyle.networks.preprocessing import PREPROCESSING, Preprocessing

__all__ = ["ARCHITECTURES", "PREPROCESSING", "Network", "Preprocessing", "layer_of", "random_network"]
