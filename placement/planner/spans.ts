import { type Candidate, cellAt, type Replica, replicasByDevice } from './candidate.js';
import type { Problem } from './problem.js';

/**
 * Long-term load where replicas span devices that have different neighbours, such as a model in tensor parallel on two devices and
 * another on one of them. The parts of the wide one wait for each other, so that a neighbour on one device slows it on all, and the
 * time that it occupies the others meanwhile is lost.
 *
 * **Claim.** Let c calls run at once on each device. If no device has more load than its time where the work of a wide replica
 * counts max(1, n / (c + 1)) times (`roomsOf`, n: most replicas on another of its devices), and no wide replica has a load of
 * 1 or more by `wideLoad`, no queue grows without bound.
 *
 * **Proof.** A replica falls behind only while it always has a call in progress. (1) Consider a device where it is one of more
 * than c calls in progress. A wide one among them takes at most c / (c + 1) of a call's time there, and advances by c / n at
 * least, or by as much as it takes if this device is the one that slows it: it takes at most max(1, n / (c + 1)) times its
 * work. As all together take less time than the device has, it catches up. (2) A wide replica advances by c / k, where k > c
 * are the calls in progress on its slowest device. That is at least c / m, for the most replicas m on one of its devices. It is also at
 * least 1 - (k - 1) / k, of which its neighbours there get (k - 1) c / k: so it loses at most 1 / c of what they take, and
 * advances by 1 - sum(neighbours) / c on average.
 */

/** Whether devices of a replica have different replicas. */
function isUneven(on: ReadonlyMap<number, readonly Replica[]>, { devices }: Replica): boolean {
  return devices.some((device) => (on.get(device) ?? []).some((other) => other.devices.length !== devices.length));
}

const hasWide = ({ replicas }: Candidate): boolean => replicas.some(({ devices }) => devices.length > 1);

const atOnceOn = (problem: Problem, { devices }: Replica): number => cellAt(problem, devices[0] ?? 0)?.concurrency ?? 1;

/** By replica: calls at once of its devices, over how often its work counts there. */
export function roomsOf(problem: Problem, candidate: Candidate): readonly number[] {
  const on = hasWide(candidate) ? replicasByDevice(candidate) : new Map<number, Replica[]>();
  return candidate.replicas.map((replica) => {
    const atOnce = atOnceOn(problem, replica);
    if (replica.devices.length === 1 || !isUneven(on, replica)) return atOnce;
    const counts = replica.devices.map((device) => on.get(device)?.length ?? 0);
    const often = counts.map((own, i) => {
      const elsewhere = Math.max(...counts.filter((_, j) => j !== i));
      return own === 1 ? 1 : elsewhere / (atOnce + 1);
    });
    return atOnce / Math.max(1, ...often);
  });
}

/**
 * The highest load of a wide replica with different neighbours, 0 if there is none.
 *
 * @param taken by replica: calls in progress on average
 * @param rooms as `roomsOf` gives them
 */
export function wideLoad(
  problem: Problem,
  candidate: Candidate,
  taken: ArrayLike<number>,
  rooms: readonly number[],
): number {
  if (!hasWide(candidate)) return 0;
  const on = replicasByDevice(candidate);
  const at = new Map(candidate.replicas.map((replica, r) => [replica, r]));
  return candidate.replicas.reduce((most, replica, r) => {
    if (replica.devices.length === 1 || !isUneven(on, replica)) return most;
    const fullest = Math.max(...replica.devices.map((device) => on.get(device)?.length ?? 0));
    const neighbours = new Set(replica.devices.flatMap((device) => on.get(device) ?? []));
    neighbours.delete(replica);
    let beside = 0;
    for (const other of neighbours) beside += (taken[at.get(other) ?? 0] ?? 0) / (rooms[at.get(other) ?? 0] ?? 1);
    const own = taken[r] ?? 0;
    const slowed = Math.max(1, fullest / atOnceOn(problem, replica));
    return Math.max(most, Math.min(own * slowed, own + beside));
  }, 0);
}
