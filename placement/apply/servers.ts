import { MillraceError } from '../../pipelines/errors.js';
import { type PlacedPool, type PlacementDocument, servedModel } from '../document/index.js';
import type { Device, Inventory } from '../inventory/index.js';
import { nameFor } from './names.js';
import type { PoolBase } from './pool-base.js';

/** A pool on a server. */
export interface Hosted {
  readonly pool: PlacedPool;
  /** Copies of the model on the server's device. */
  readonly instances: number;
  /** Whether a copy is on several of the server's devices. */
  readonly spans: boolean;
}

/** A model server to be started: a Triton for all models of one device, or a vLLM for one replica of one model. */
export interface ModelServer {
  /** A name for its script and its service: `triton-gpu1-0`, `assistant-gpu1-1`, and `assistant-gpu1-1-2` for a second one there. */
  readonly name: string;
  readonly type: 'triton' | 'vllm';
  readonly node: string;
  /** Those of all its replicas, the ones of the narrowest first: a model that takes devices from the first on has its own. */
  readonly devices: readonly Device[];
  /** First of its ports on the node: consecutive HTTP, gRPC and metrics ports of Triton, or vLLM's single port. */
  readonly port: number;
  readonly hosted: readonly Hosted[];
  /** Of a vLLM: how its replica is spread over devices, if not as the pool says. */
  readonly parallel?: PlacedPool['parallel'] | undefined;
  /** Of a vLLM: bytes and tokens of its replica, and bytes of a token and beside the cache, if the placement states them. */
  readonly memoryBytes?: number | undefined;
  readonly cacheTokens?: number | undefined;
  readonly tokenBytes?: number | undefined;
  readonly reservedBytes?: number | undefined;
  /** Of a vLLM: tokens of prompts in a step of its replica, if not as the pool says. */
  readonly chunkTokens?: number | undefined;
}

const FIRST_PORT = { triton: 8000, vllm: 9000 } as const;
/**
 * Distance between the ports of a node's devices. Which of a device's ports a server has depends on its pool, not on what else runs
 * there: a server that goes on has the same address in every placement, and no server of another pool is started on its port.
 */
const PORT_STEP = 10;

/** A server whose port is not chosen yet. */
interface Draft extends Omit<ModelServer, 'port' | 'devices'> {
  readonly hosted: Hosted[];
  /** Devices of each of its replicas. */
  readonly replicas: (readonly Device[])[];
  /** Its first device. */
  readonly first: Device;
  /** Its place among the ports of that device, counted on from the first one after the last. */
  readonly wanted: number;
}

/**
 * The servers that a placement requires; replicas on a server that already runs require none. Throws
 * `INVALID_PLACEMENT`.
 */
export function serversOf(
  { pools }: PlacementDocument,
  { devices }: Inventory,
  base: Readonly<Record<string, PoolBase>> = {},
): ModelServer[] {
  const known = new Map(devices.map((device) => [device.id, device]));
  const typeOf = (pool: PlacedPool) => serverTypeOf(pool, base[servedModel(pool)]);
  const onVllm = vllmPools(
    pools.filter((pool) => typeOf(pool) === 'vllm'),
    base,
  );
  const placeOf = (pool: PlacedPool, before: number) => onVllm.indexOf(servedModel(pool)) + onVllm.length * before;
  const servers: Draft[] = [];
  const names = new Set<string>();
  for (const pool of pools) {
    for (const [i, replica] of pool.replicas.entries()) {
      const own = replica.devices.map((id) => known.get(id) ?? unknown(pool, i, id));
      const [first] = own;
      if (replica.endpoint !== undefined || first === undefined) continue;
      const type = typeOf(pool);
      if (type === 'vllm' && pool.maxQueueDelayMs > 0) throw invalid(pool, i, NO_DELAY);
      const there = servers.filter((each) => each.type === type && each.first === first);
      const [shared] = type === 'triton' ? there : [];
      if (shared === undefined) {
        if (there.length >= PORT_STEP) throw invalid(pool, i, tooMany(first));
        const { memoryBytes, cacheTokens, tokenBytes, reservedBytes, chunkTokens, parallel } = replica;
        const hosted = [{ pool, instances: 1, spans: own.length > 1 }];
        const spread = { replicas: [own], parallel, memoryBytes, cacheTokens, tokenBytes, reservedBytes, chunkTokens };
        const text = `${type === 'vllm' ? pool.model : 'triton'}-${first.id}`;
        const before = there.filter(({ hosted: [only] }) => only?.pool === pool).length;
        const wanted = type === 'vllm' ? placeOf(pool, before) : 0;
        const numbered = before === 0 ? text : `${text}-${before + 1}`;
        const name = nameFor(numbered, names, `${type} ${numbered}`);
        names.add(name);
        servers.push({ name, type, node: first.node, first, wanted, hosted, ...spread });
      } else {
        shared.replicas.push(own);
        const at = shared.hosted.findIndex((each) => each.pool === pool);
        const { instances = 0, spans = false } = shared.hosted[at] ?? {};
        const more = { pool, instances: instances + 1, spans: spans || own.length > 1 };
        if (at === -1) shared.hosted.push(more);
        else shared.hosted[at] = more;
      }
    }
  }
  const ports = portsOf(servers, devices);
  return servers.map((draft) => {
    const { first: _, wanted: __, replicas, ...server } = draft;
    const seen = new Set(replicas.toSorted((a, b) => a.length - b.length).flat());
    return { ...server, devices: [...seen], port: ports.get(draft) as number };
  });
}

/** Pools that vLLM serves: first those of the models file in its order, which all placements have in common. */
function vllmPools(placed: readonly PlacedPool[], base: Readonly<Record<string, PoolBase>>): readonly string[] {
  const listed = Object.keys(base).filter((model) => base[model]?.connector === 'openai');
  return [...new Set([...listed, ...placed.map(servedModel)])];
}

/** The first port of each server. A device has at most `PORT_STEP` servers of a type, so that each finds a free one. */
function portsOf(servers: readonly Draft[], devices: readonly Device[]): ReadonlyMap<Draft, number> {
  const ports = new Map<Draft, number>();
  const taken = new Set<string>();
  // Those within the device's ports come first: they have the place that they want, whatever else runs there.
  for (const server of servers.toSorted((a, b) => a.wanted - b.wanted)) {
    const { type, first, wanted } = server;
    const place = devices.filter(({ node }) => node === first.node).indexOf(first);
    let offset = wanted % PORT_STEP;
    // Some placements have a part for prompts, others do not: it takes no port of a pool, and counts from the last one down.
    if (partOf(server) === 'prefill') offset = PORT_STEP - 1 - offset;
    while (taken.has(`${type} ${first.id} ${offset}`)) offset = (offset + 1) % PORT_STEP;
    taken.add(`${type} ${first.id} ${offset}`);
    ports.set(server, FIRST_PORT[type] + PORT_STEP * place + offset);
  }
  return ports;
}

const NO_DELAY =
  'its batches wait to fill, which vLLM cannot do: place the pipeline without --batch-delay, or serve the model by Triton';

const tooMany = ({ id }: Device): string =>
  `${id} has more than ${PORT_STEP} servers of vLLM, and as many ports: place fewer on it, by a lower "concurrency", fewer "parts" or less memory in cluster.yaml`;

/** The server of a pool: by its connector, for an unknown one by how it batches. */
export const serverTypeOf = ({ batching }: PlacedPool, base: PoolBase | undefined): ModelServer['type'] =>
  base?.connector === 'openai' || (base?.connector !== 'triton' && batching === 'continuous') ? 'vllm' : 'triton';

/**
 * The part of a GPU's threads, in percent, that MPS gives a server: as much as its replicas were planned with. Undefined if MPS
 * does not share its device.
 */
export function threadsOf({ devices, hosted }: ModelServer): number | undefined {
  const [, parts] = /:mps(\d+)$/.exec(devices[0]?.kind ?? '') ?? [];
  if (parts === undefined) return undefined;
  const replicas = hosted.reduce((sum, { instances }) => sum + instances, 0);
  return Math.min(100, Math.max(1, Math.floor((100 * replicas) / Number(parts))));
}

/** The part of a model served apart that a server has. */
export const partOf = ({ hosted: [only] }: Pick<ModelServer, 'hosted'>): 'prefill' | 'decode' | undefined =>
  only?.pool.apart?.part;

/** The number of a device on its node; for a part of a device, its GPU's. */
export const indexOf = ({ id, node }: Device): number => Number.parseInt(id.slice(node.length + 1), 10);

const unknown = (pool: PlacedPool, replica: number, id: string): never => {
  throw invalid(pool, replica, `${id} is not in the inventory: pass the cluster.yaml of the placement`);
};

function invalid({ model }: PlacedPool, replica: number, message: string): MillraceError {
  const field = `pools.${model}.replicas.${replica}`;
  return new MillraceError('INVALID_PLACEMENT', `${field}: ${message}`, { fields: [{ field, message }] });
}
