import { type Candidate, type Judge, type Problem, replicasByDevice } from '../planner/index.js';
import { contentOf, type Placed } from './switching.js';

/** What runs on one device, or on several that its replicas span. */
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
  const { alike } = problem;
  // By position: devices of a replica that spans several may have different links.
  const classesOf = ({ devices }: Unit) => devices.map((device) => alike[device]).join(' ');
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
    classesOf(unit) === classesOf(other) && !other.devices.some((device) => taken.has(device));
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
    const chosen: number[] = [];
    for (const own of unit.devices) {
      const free = problem.devices.flatMap((_, device) =>
        alike[device] === alike[own] && !taken.has(device) && !chosen.includes(device) ? [device] : [],
      );
      chosen.push(...free.sort((a, b) => Number(used.has(a)) - Number(used.has(b)) || a - b).slice(0, 1));
    }
    put(unit, chosen);
  }
  const replicas = candidate.replicas.map((replica) => ({
    ...replica,
    devices: replica.devices.map((device) => moved.get(device) ?? device),
  }));
  return { configs: candidate.configs, replicas };
}

/** The aligned candidate; if it does not keep the objective by the simulator, the candidate as it is. */
export function alignedIfHeld(judge: Judge, candidate: Candidate, to: Placed): Candidate {
  const moved = aligned(judge.problem, candidate, to);
  return judge.holds(moved) ? moved : candidate;
}

function unitsOf(problem: Problem, candidate: Candidate): readonly Unit[] {
  const units: Unit[] = [];
  const on = replicasByDevice(candidate);
  for (const [device, there] of on) {
    // Whatever spans devices is within the widest replica on them, and is counted at that one's first.
    const { devices } = there.reduce((widest, each) => (each.devices.length > widest.devices.length ? each : widest));
    if (devices[0] !== device) continue;
    const inside = devices.map((each) => on.get(each) ?? []);
    const content = inside.map((each) => contentOf(problem, candidate, each)).join('|');
    units.push({ devices, content, models: new Set(inside.flat().map(({ pool }) => pool)) });
  }
  return units;
}
