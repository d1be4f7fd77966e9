"""Tables of predictions: of networks, of parts, of ensembles."""
