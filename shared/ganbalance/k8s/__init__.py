"""A run as Kubernetes Jobs: submitted, driven, watched, cleaned away.

submission ─► driver ─► one Indexed Job per stage and arm or GAN ─► the five programs ─► the store
              (reads Jobs and COMMITs, keeps nothing in memory)

No module here knows torch, and `client` alone knows the Kubernetes library.
"""
