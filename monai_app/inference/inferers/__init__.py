"""Inferers for MONAI's engines and MONAI Label."""
