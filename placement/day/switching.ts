import {
  type Candidate,
  cellAt,
  configOf,
  mayOverlap,
  type Problem,
  type Replica,
  replicasByDevice,
  roomOf,
  takenBytes,
  useOn,
} from '../planner/index.js';

/** What a change between placements takes. */
export interface SwitchingCosts {
  /** Milliseconds from the start of a model's server to its first answer. */
  readonly coldStartMs: (model: string) => number;
  /** Cost of every change of the placement, whatever changes. */
  readonly perSwitch: number;
}

/** A replica's server. Two placements share it if one need not start another. */
export interface Server {
  readonly model: string;
  /** Indexes of its devices. */
  readonly devices: readonly number[];
  /** On each of them. */
  readonly bytes: number;
  readonly llm: boolean;
}

/** A candidate of the problem of some hour, with its servers. */
export interface Placed {
  readonly problem: Problem;
  readonly candidate: Candidate;
  /** By a key that is equal for equal servers. */
  readonly servers: ReadonlyMap<string, Server>;
}

/** A change from one placement to another. */
export interface Change {
  readonly starts: readonly Server[];
  readonly stops: readonly Server[];
  /** Before the hour begins, for as long as the slowest of them needs: until then the old servers serve. */
  readonly coldStartMs: number;
  readonly cost: number;
}

export function placedOf(problem: Problem, candidate: Candidate): Placed {
  const on = replicasByDevice(candidate);
  const servers = new Map<string, Server>();
  for (const replica of candidate.replicas) {
    const use = useOn(problem, candidate, replica.pool, replica.devices[0] ?? 0);
    const model = problem.pools[replica.pool]?.model ?? '';
    const ids = replica.devices.map((device) => problem.devices[device]?.id ?? '').sort();
    const llm = use?.profile.batching === 'continuous';
    // An LLM server takes what its neighbours leave of its device's memory: among others it is another server.
    const beside = llm
      ? replica.devices.map((device) => contentOf(problem, candidate, on.get(device) ?? [])).sort()
      : [];
    const key = JSON.stringify([contentOf(problem, candidate, [replica]), ids, beside]);
    const bytes = takenBytes(problem, candidate, replica, on);
    // Several replicas of a pool on a device that runs several calls at once.
    let copy = key;
    for (let i = 2; servers.has(copy); i += 1) copy = `${key} ${i}`;
    servers.set(copy, { model, devices: replica.devices, bytes, llm });
  }
  return { problem, candidate, servers };
}

/** How replicas are served, without where: equal for equal servers of equal neighbours. */
export function contentOf(problem: Problem, candidate: Candidate, replicas: readonly Replica[]): string {
  const spelled = replicas.map(({ pool, devices }) => {
    const config = configOf(problem, candidate, pool);
    const model = problem.pools[pool]?.model;
    return JSON.stringify([model, config?.variant, config?.batching, config?.maxBatch, devices.length]);
  });
  return spelled.sort().join(' ');
}

/** A placement as a candidate of another hour's problem; undefined if that hour knows no such variant or batch. */
export function transferred({ problem: from, candidate }: Placed, to: Problem): Candidate | undefined {
  if (from === to) return candidate;
  const configs = candidate.configs.map((c, p) => {
    const own = from.pools[p]?.configs[c];
    const known = to.pools[p]?.configs ?? [];
    return known.findIndex(
      ({ variant, batching, maxBatch }) =>
        variant === own?.variant && batching === own?.batching && maxBatch === own?.maxBatch,
    );
  });
  return configs.includes(-1) ? undefined : { configs, replicas: candidate.replicas };
}

/** A key that is equal for placements with the same servers. */
export const serversKey = ({ servers }: Placed): string => [...servers.keys()].sort().join('\n');

/**
 * The change from one placement to another: new servers are started a cold start before the hour, and until it begins the old
 * ones run beside them. Devices that only the new placement uses are paid for that time too. Undefined if the old and the new
 * servers of a device do not fit it together.
 */
export function changeBetween(from: Placed, to: Placed, costs: SwitchingCosts): Change | undefined {
  const starts = [...to.servers].flatMap(([key, server]) => (from.servers.has(key) ? [] : [server]));
  const stops = [...from.servers].flatMap(([key, server]) => (to.servers.has(key) ? [] : [server]));
  if (starts.length === 0 && stops.length === 0) return { starts, stops, coldStartMs: 0, cost: 0 };
  const before = onDevices([...from.servers.values()]);
  const starting = onDevices(starts);
  let cost = costs.perSwitch;
  for (const [device, own] of starting) {
    const there = before.get(device);
    if (there && !fitTogether(to.problem, device, [...there, ...own])) return undefined;
    const hours = Math.max(...own.map(({ model }) => costs.coldStartMs(model))) / 3_600_000;
    if (there === undefined) cost += hours * (to.problem.devices[device]?.pricePerHour ?? 0);
  }
  return { starts, stops, coldStartMs: Math.max(0, ...starts.map(({ model }) => costs.coldStartMs(model))), cost };
}

function onDevices(servers: readonly Server[]): ReadonlyMap<number, readonly Server[]> {
  const on = new Map<number, Server[]>();
  for (const server of servers) {
    for (const device of server.devices) on.set(device, [...(on.get(device) ?? []), server]);
  }
  return on;
}

/** Whether the servers of a device before and after a change can run there at the same time. */
function fitTogether(problem: Problem, device: number, servers: readonly Server[]): boolean {
  const cell = cellAt(problem, device);
  if (cell === undefined) return false;
  if (cell.sharing === 'exclusive') return false;
  if (servers.some((a) => servers.some((b) => !mayOverlap(cell, a.devices, b.devices)))) return false;
  const bytes = servers.reduce((sum, server) => sum + server.bytes, 0);
  // The cache of an LLM is counted in whole tokens.
  return (
    bytes <=
    roomOf(
      cell,
      servers.some(({ llm }) => llm),
    ) +
      1
  );
}
