"""How much of their score variants lose where one artefact grows in the images that they were not trained on."""
