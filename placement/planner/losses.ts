import { isSpot } from '../inventory/index.js';
import { type Candidate, leftOf, replicasByDevice, spellSpan } from './candidate.js';
import type { Problem, Survive } from './problem.js';

/** A candidate after one loss. */
export interface Loss {
  /** The lost device or node. */
  readonly without: string;
  readonly rest: Candidate;
  /** Pools that have no replica left. */
  readonly lost: readonly number[];
}

/** Whether candidates may have to meet the objective after a loss: a demanded one, or that of a spot device. */
export const demandsLosses = ({ survive, devices }: Pick<Problem, 'survive' | 'devices'>): boolean =>
  survive !== undefined || devices.some(isSpot);

/** The losses after which a candidate must meet the objective: those that the problem demands, and of each spot device. */
export function demandedLosses(problem: Problem, candidate: Candidate): readonly Loss[] {
  const { survive, devices } = problem;
  const demanded = survive === undefined ? [] : lossesOf(problem, candidate, survive);
  if (survive === 'device') return demanded;
  return [...demanded, ...lossesOf(problem, candidate, 'device', (device) => isSpot(devices[device]))];
}

/** What is lost together with a device: the GPU with all its parts, or its node. */
export function domainOf({ devices }: Problem, device: number, by: Survive): string {
  const { id = '', node = '' } = devices[device] ?? {};
  return by === 'node' ? node : id.replace(/\.\d+$/, '');
}

/**
 * The candidate after each single loss of a device or node that it uses. Of losses that leave the same, on devices that are
 * alike, the first.
 *
 * @param mayBeLost the devices of which at least one must be in a loss; default: all
 */
export function lossesOf(
  problem: Problem,
  candidate: Candidate,
  by: Survive,
  mayBeLost: (device: number) => boolean = () => true,
): readonly Loss[] {
  const domains = new Map<string, string[]>();
  const counted = new Set<string>();
  const on = replicasByDevice(candidate);
  for (const [device, replicas] of on) {
    const name = domainOf(problem, device, by);
    const pools = replicas.map(({ pool }) => pool).sort((a, b) => a - b);
    // What a replica that spans devices leaves free differs by what else is on them.
    const spans = replicas.flatMap((replica) =>
      replica.devices.length > 1 ? [spellSpan(problem.alike, replica, on)] : [],
    );
    const like = `${problem.alike[device]}:${pools.join('+')} ${spans.sort().join(' ')}`;
    domains.set(name, [...(domains.get(name) ?? []), like]);
    if (mayBeLost(device)) counted.add(name);
  }
  const known = new Set<string>();
  return [...domains].flatMap(([without, likes]): Loss[] => {
    if (!counted.has(without)) return [];
    const replicas = candidate.replicas.filter(
      ({ devices }) => !devices.some((device) => domainOf(problem, device, by) === without),
    );
    // Of replicas that span devices, one loss may take several and another like it one.
    const left = problem.pools.map((_, p) => replicas.filter(({ pool }) => pool === p).length);
    const key = `${likes.sort().join(' ')} ${left.join()}`;
    if (known.has(key)) return [];
    known.add(key);
    const lost = problem.pools.flatMap((_, p) => (replicas.some(({ pool }) => pool === p) ? [] : [p]));
    return [{ without, rest: leftOf(candidate, replicas), lost }];
  });
}
