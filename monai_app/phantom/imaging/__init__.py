"""How the microscope images the material: cutting, detectors and artefacts."""
