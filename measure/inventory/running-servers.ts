import type { Backend, Connectors } from '../../activities/connectors/index.js';
import type { ModelsConfig } from '../../activities/pools/index.js';
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

/** A running server identifies a model within milliseconds; a longer silence means that it cannot be placed on. */
const ANSWER_MS = 3_000;

/**
 * The endpoints of the models file on a node's devices that answer: matched by their label, which is a device's id or,
 * for an endpoint on this machine, ends in its index (`gpu1`, `cpu0`).
 */
export async function runningServers(
  models: ModelsConfig,
  connectors: Connectors,
  node: string,
  devices: number,
): Promise<FoundServers> {
  const servers = new Map<string, RunningServer & { readonly models: string[] }>();
  const notes: string[] = [];
  for (const [name, pool] of Object.entries(models)) {
    const { connector, model, endpoints } = pool;
    for (const { url, device: label } of endpoints) {
      const device = deviceAt(url, label, node, devices);
      if (device === undefined) continue;
      const backend = connectors.get(connector)?.connect(url, pool);
      const silent = backend && (await silence(backend, model));
      if (silent !== undefined) {
        notes.push(`${name} at ${url} is left out: ${silent}`);
        continue;
      }
      const known = servers.get(`${url} ${device}`);
      if (known) known.models.push(name);
      else servers.set(`${url} ${device}`, { url, connector, device, models: [name] });
    }
  }
  return { servers: [...servers.values()], notes };
}

function deviceAt(url: string, label: string, node: string, devices: number): string | undefined {
  const [, named, index] = /^(?:(.+)\/)?\D*(\d+)$/.exec(label) ?? [];
  if (index === undefined || Number(index) >= devices) return undefined;
  const here = named === undefined ? isLoopback(url) : named === node;
  return here ? `${node}/${Number(index)}` : undefined;
}

/** Why a server does not identify a model; undefined if it does. */
async function silence(backend: Backend, model: string): Promise<string | undefined> {
  try {
    await limited(ANSWER_MS, new AbortController().signal, (signal) => backend.fingerprint(model, signal));
    return undefined;
  } catch (error) {
    return messageOf(error);
  } finally {
    backend.close();
  }
}
