import numpy as np

from facelink.links import Links


def make_links(n_instances, *triples):
    """Links from (first, second, likelihood) triples."""
    pairs = np.array([triple[:2] for triple in triples], dtype=np.int32).reshape(-1, 2)
    likelihoods = np.array([triple[2] for triple in triples], dtype=np.float32)
    return Links(pairs, likelihoods, np.zeros(len(pairs), dtype=bool), n_instances)


def chain(likelihoods):
    """Links 0–1, 1–2, … with these likelihoods."""
    triples = [(first, first + 1, value) for first, value in enumerate(likelihoods)]
    return make_links(len(triples) + 1, *triples)


def complete_links(identities, likelihood):
    """A link between any two instances; ``likelihood(same_identity)`` gives its likelihood."""
    identities = np.asarray(identities)
    pairs = np.stack(np.triu_indices(len(identities), 1), axis=1).astype(np.int32)
    same_identity = identities[pairs[:, 0]] == identities[pairs[:, 1]]
    likelihoods = likelihood(same_identity).astype(np.float32)
    return Links(pairs, likelihoods, np.zeros(len(pairs), dtype=bool), len(identities))
