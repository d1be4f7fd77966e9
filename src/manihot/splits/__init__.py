"""Who is tested, the folds of everybody else, and the photos that something is fitted on."""
