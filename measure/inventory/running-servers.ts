import type { Connectors, RegisteredConnector } from '../../activities/connectors/index.js';
import { connectTo, type FindEndpoints, listed, type ModelsConfig } from '../../activities/pools/index.js';
import { messageOf } from '../../pipelines/errors.js';
import { limited } from '../../runtime/limited.js';
import { isLoopback } from '../../runtime/loopback.js';

/** A server that runs on the node, as listed in `cluster.yaml`. */
export interface RunningServer {
  readonly url: string;
  readonly connector: string;
  readonly device: string;
  readonly models: readonly string[];
}

export interface FoundServers {
  readonly servers: readonly RunningServer[];
  /** Why an endpoint of the models file is not included. */
  readonly notes: string[];
}

/** How pools' servers are found and called. */
export interface Servers {
  readonly connectors: Connectors;
  readonly find: FindEndpoints;
}

/** A running server identifies a model within milliseconds; a longer silence means that it cannot be placed on. */
const ANSWER_MS = 3_000;

/**
 * The endpoints of the models file on a node's devices that answer: matched by their label, which is a device's id or,
 * for an endpoint on this machine, ends in its index (`gpu1`, `cpu0`).
 */
export async function runningServers(
  models: ModelsConfig,
  { connectors, find }: Servers,
  node: string,
  devices: number,
): Promise<FoundServers> {
  const running = new Map<string, RunningServer & { readonly models: string[] }>();
  const notes: string[] = [];
  const { signal } = new AbortController();
  for (const [name, pool] of Object.entries(models)) {
    const { connector } = pool;
    const named = await listed(name, pool, find, signal).catch(messageOf);
    if (typeof named === 'string') {
      notes.push(`${name} is left out: ${named}`);
      continue;
    }
    for (const endpoint of named.endpoints) {
      const { url, device: label } = endpoint;
      const device = deviceAt(url, label, node, devices);
      if (device === undefined) continue;
      const known = connectors.get(connector);
      const servers = () => find(name, { ...named, endpoints: [endpoint] }, signal);
      const silent = known && (await silence(known, pool, servers, signal));
      if (silent !== undefined) {
        notes.push(`${name} at ${url} is left out: ${silent}`);
        continue;
      }
      const server = running.get(`${url} ${device}`);
      if (server) server.models.push(name);
      else running.set(`${url} ${device}`, { url, connector, device, models: [name] });
    }
  }
  return { servers: [...running.values()], notes };
}

function deviceAt(url: string, label: string, node: string, devices: number): string | undefined {
  const [, named, index] = /^(?:(.+)\/)?\D*(\d+)$/.exec(label) ?? [];
  if (index === undefined || Number(index) >= devices) return undefined;
  const here = named === undefined ? isLoopback(url) : named === node;
  return here ? `${node}/${Number(index)}` : undefined;
}

/** Why none of an endpoint's servers identifies the pool's model; undefined if one does. */
async function silence(
  connector: RegisteredConnector,
  pool: ModelsConfig[string],
  servers: () => ReturnType<FindEndpoints>,
  signal: AbortSignal,
): Promise<string | undefined> {
  let why = 'no server has been found';
  try {
    for (const server of await servers()) {
      const backend = connectTo(connector, server, pool);
      try {
        await limited(ANSWER_MS, signal, (own) => backend.fingerprint(pool.model, own));
        return undefined;
      } catch (error) {
        why = messageOf(error);
      } finally {
        backend.close();
      }
    }
  } catch (error) {
    return messageOf(error);
  }
  return why;
}
