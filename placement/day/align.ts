import { type Candidate, likeOf, type Problem, replicasByDevice } from '../planner/index.js';
import { contentOf, type Placed } from './switching.js';

/** What runs on one device, or a replica that has several for itself. */
interface Unit {
  readonly devices: readonly number[];
  readonly content: string;
  readonly models: ReadonlySet<number>;
}

/**
 * The candidate on the devices on which another placement already has the same servers, as far as devices are alike: a change
 * between the two starts as few servers as possible. What has no counterpart takes devices that the other placement leaves
 * free, on which servers can start beside the old ones.
 */
export function aligned(problem: Problem, candidate: Candidate, to: Placed): Candidate {
  const classes = problem.devices.map((_, device) => likeOf(problem, device));
  const classOf = ({ devices }: Unit) => classes[devices[0] ?? 0];
  const theirs = unitsOf(to.problem, to.candidate);
  const used = new Set(theirs.flatMap(({ devices }) => devices));
  const moved = new Map<number, number>();
  const taken = new Set<number>();
  let left = unitsOf(problem, candidate);
  const put = (unit: Unit, devices: readonly number[]) => {
    for (const [i, device] of unit.devices.entries()) {
      moved.set(device, devices[i] ?? device);
      taken.add(devices[i] ?? device);
    }
    left = left.filter((each) => each !== unit);
  };
  const couldBe = (unit: Unit, other: Unit) =>
    unit.devices.length === other.devices.length &&
    classOf(unit) === classOf(other) &&
    !other.devices.some((device) => taken.has(device));
  for (const unit of left) {
    const same = theirs.find((other) => other.content === unit.content && couldBe(unit, other));
    if (same) put(unit, same.devices);
  }
  for (const unit of left) {
    const shared = (other: Unit) => [...unit.models].filter((model) => other.models.has(model)).length;
    const [most] = theirs.filter((other) => couldBe(unit, other)).sort((a, b) => shared(b) - shared(a));
    if (most && shared(most) > 0) put(unit, most.devices);
  }
  for (const unit of left) {
    const free = problem.devices.flatMap((_, device) =>
      classes[device] === classOf(unit) && !taken.has(device) ? [device] : [],
    );
    put(unit, free.sort((a, b) => Number(used.has(a)) - Number(used.has(b)) || a - b).slice(0, unit.devices.length));
  }
  const replicas = candidate.replicas.map((replica) => ({
    ...replica,
    devices: replica.devices.map((device) => moved.get(device) ?? device),
  }));
  return { configs: candidate.configs, replicas };
}

function unitsOf(problem: Problem, candidate: Candidate): readonly Unit[] {
  const units: Unit[] = [];
  for (const [device, there] of replicasByDevice(candidate)) {
    const [first] = there;
    // A replica that spans devices is alone on them, and counted at its first.
    if (first === undefined || first.devices[0] !== device) continue;
    const models = new Set(there.map(({ pool }) => pool));
    units.push({ devices: first.devices, content: contentOf(problem, candidate, there), models });
  }
  return units;
}
