import { type Document, isMap, isSeq, parseDocument, YAMLMap } from 'yaml';
import { readInventory } from '../../placement/inventory/index.js';
import type { RunningServer } from './running-servers.js';

/** A line of a node's devices in `cluster.yaml`. */
export interface DeviceLine {
  readonly kind: string;
  readonly count?: number;
  readonly memory: string;
  readonly concurrency?: number;
}

export interface Found {
  readonly node: string;
  readonly devices: readonly DeviceLine[];
  readonly endpoints: readonly RunningServer[];
}

const EMPTY = 'format: 1\nnodes: []\n';

/**
 * `cluster.yaml` updated with a node's inventory: its devices replace those in the file, and missing servers are added.
 * Prices, billing, how devices are shared, links and comments elsewhere are kept. Throws `INVALID_INVENTORY` if the file cannot be read or would become
 * invalid, e.g. by a link to a removed device.
 */
export function withNode(before: string | undefined, { node, devices, endpoints }: Found, file: string): string {
  if (before !== undefined) readInventory(before, file);
  const document = parseDocument(before ?? EMPTY);
  const nodes = sequence(document, 'nodes');
  const at = nodes.items.findIndex((item) => isMap(item) && item.get('name') === node);
  const lines = devices.map((line) => flow(document, line, statedOf(nodes.items[at], line)));
  if (at >= 0) (nodes.items[at] as YAMLMap).set('devices', document.createNode(lines));
  else nodes.add(document.createNode({ name: node, devices: lines }));
  if (endpoints.length > 0) {
    const listed = sequence(document, 'endpoints');
    const known = listed.items.map((item) => (isMap(item) ? item.get('url') : undefined));
    for (const endpoint of endpoints) if (!known.includes(endpoint.url)) listed.add(flow(document, endpoint));
  }
  const text = document.toString({ lineWidth: 0 });
  readInventory(text, file);
  return text;
}

/** What cannot be detected: what a device kind in the file costs, how it is paid and shared. */
const STATED = ['pricePerHour', 'billing', 'lossPerHour', 'share', 'sharing', 'slowdown', 'memoryUtilization'];

function statedOf(node: unknown, { kind, concurrency }: DeviceLine): Readonly<Record<string, unknown>> {
  const devices = isMap(node) ? node.get('devices') : undefined;
  const line = isSeq(devices) ? devices.items.find((item) => isMap(item) && item.get('kind') === kind) : undefined;
  if (!isMap(line)) return {};
  // The calls at once of a CPU are its cores. Those of a GPU are stated, and `slowdown` is of as many.
  const fields = concurrency === undefined ? [...STATED, 'concurrency'] : STATED;
  const stated = fields.map((field) => [field, line.get(field)] as const);
  return Object.fromEntries(stated.filter(([, value]) => value !== undefined));
}

function sequence(document: Document, key: string) {
  const there = document.get(key);
  if (isSeq(there)) {
    there.flow = false;
    return there;
  }
  const made = document.createNode([]);
  document.set(key, made);
  return made;
}

/** Formatted on one line. */
function flow(document: Document, ...parts: readonly object[]): YAMLMap {
  const map = document.createNode(Object.assign({}, ...parts));
  if (!(map instanceof YAMLMap)) throw new TypeError('a line is a map');
  map.flow = true;
  return map;
}
