# A small forest in place of the large one, in the process of a run too
