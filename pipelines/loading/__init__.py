"""How engines find and read their weights: places, devices, checkpoints of transformers and diffusers."""
