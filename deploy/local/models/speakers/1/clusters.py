"""Which vectors are of one voice: agglomerative clustering by cosine, with average linkage."""
import numpy as np


def voices(vectors, seconds, most_apart, least_seconds, most):
    """The middles of the voices, [k, width], of length 1: those heard longest, `most` of them.

    Clusters that are at most `most_apart` apart on average are one voice. What sounds for less than `least_seconds` in total, a
    noise, a window with two people in it, is no voice of its own, unless there is no other.
    """
    groups = grouped(vectors, most_apart)
    lengths = [float(seconds[group].sum()) for group in groups]
    longest = sorted(range(len(groups)), key=lambda i: (-lengths[i], groups[i][0]))
    kept = [i for i in longest if lengths[i] >= least_seconds][:most] or longest[:1]
    middles = np.array([vectors[groups[i]].mean(0) for i in kept], np.float32).reshape(-1, vectors.shape[1])
    return middles / np.maximum(np.linalg.norm(middles, axis=1, keepdims=True), 1e-6)


def grouped(vectors, most_apart):
    """Groups of indices: those that are joined below the distance."""
    parent = list(range(len(vectors)))

    def root(i):
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    distances = vectors @ vectors.T
    np.subtract(1, distances, out=distances)
    for distance, a, b in joins(distances):
        if distance <= most_apart:
            parent[root(max(a, b))] = root(min(a, b))
    groups = {}
    for i in range(len(vectors)):
        groups.setdefault(root(i), []).append(i)
    return list(groups.values())


def joins(distances):
    """All joins of two clusters, each named by one of its members, with their mean distance; in no order.

    By chains of nearest neighbours, which takes time with the square of the number: with average linkage a join brings no third
    cluster nearer to either, so that two that are nearest to each other stay so. `distances`, which must be the same both ways, is overwritten.
    """
    count = len(distances)
    np.fill_diagonal(distances, np.inf)
    sizes = np.ones(count)
    chain, found = [], []
    for _ in range(count - 1):
        if not chain:
            chain = [int(np.argmax(sizes > 0))]
        while True:
            last = chain[-1]
            nearest = int(distances[last].argmin())
            # Of several nearest ones the one that it comes from: the chain would turn in a circle.
            if len(chain) > 1 and distances[last, chain[-2]] <= distances[last, nearest]:
                break
            chain.append(nearest)
        gone, kept = chain.pop(), chain.pop()
        found.append((float(distances[gone, kept]), gone, kept))
        total = sizes[gone] + sizes[kept]
        mean = (sizes[gone] * distances[gone] + sizes[kept] * distances[kept]) / total
        mean[[gone, kept]] = np.inf
        distances[kept], distances[:, kept] = mean, mean
        distances[gone], distances[:, gone] = np.inf, np.inf
        sizes[kept], sizes[gone] = total, 0
    return found
