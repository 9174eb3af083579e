"""Super-resolution by Real-ESRGAN: enlarge and restore by a network trained on synthetically degraded images."""

from pipelines.super_resolution.real_esrgan.engine import RealEsrgan, RealEsrganConfig

__all__ = ["RealEsrgan", "RealEsrganConfig"]
