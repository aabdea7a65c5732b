"""ganbalance: should you train a GAN to balance your image data, and which one?"""

__version__ = "0.1.0"
