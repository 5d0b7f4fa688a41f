import { type Candidate, cellAt, replicasByDevice } from './candidate.js';
import type { Problem } from './problem.js';

/**
 * The highest load of a replica on a device whose calls slow each other (`slowdown`), as a share of what it can sustain; 0 if there
 * is no such device.
 *
 * **Claim.** Let c calls run at once on a device, each s times as long while all of them do, and n replicas be on it, with w_i
 * calls in progress on average, if each were alone. With b = (s - 1) / (c - 1) for n <= c, else b = (n s - c) / ((n - 1) c), no
 * queue grows without bound if w_i + b·sum(w_j, j ≠ i) < 1 for every i.
 *
 * **Proof.** While k <= c calls run, each advances by 1 / (1 + a (k - 1)) with a = (s - 1) / (c - 1), and the others by k - 1 times
 * that: its own advance plus a times that of the others is 1. While k > c run it is c / (k s), and the same sum is 1 with
 * (k s - c) / ((k - 1) c) in place of a, which is a for k = c and rises with k. So the sum is at least 1 with b, whenever the
 * replica has a call in progress. Let q_i be the work that waits at each, and V the largest of (1 - b) q_i + b·sum(q). As b <= 1 (s <= c),
 * it is that of a replica with the most work, which has a call in progress; so V falls by 1 - w_i - b·sum(w_j) at least, until there is none.
 *
 * The capacity c / s of the whole device is in `Cell.capacity`.
 *
 * @param taken by replica: calls in progress on average, if each were alone
 */
export function slowedLoad(problem: Problem, candidate: Candidate, taken: ArrayLike<number>): number {
  if (problem.cells.every(({ slowdown }) => slowdown === 1)) return 0;
  const at = new Map(candidate.replicas.map((replica, r) => [replica, r]));
  let most = 0;
  for (const [device, there] of replicasByDevice(candidate)) {
    const { concurrency = 1, slowdown = 1 } = cellAt(problem, device) ?? {};
    const n = there.length;
    if (slowdown === 1 || n < 2) continue;
    const b =
      n <= concurrency ? (slowdown - 1) / (concurrency - 1) : (n * slowdown - concurrency) / ((n - 1) * concurrency);
    const own = there.map((replica) => taken[at.get(replica) ?? 0] ?? 0);
    const sum = own.reduce((all, each) => all + each, 0);
    for (const each of own) most = Math.max(most, each + b * (sum - each));
  }
  return most;
}
