/** `reserved`: paid whether used or not. `spot`: paid by the hour, and may be taken away at any time. */
type Billing = 'reserved' | 'spot';

/** A device that models run on: a GPU, a part of one, or a CPU. */
export interface Device {
  /** `gpu1/0`; a MIG part is `gpu1/0.2`. */
  readonly id: string;
  readonly node: string;
  /** The kind that profiles name: `a100`; a share is a kind of its own, `a100:mig2` or `a100:mps4`. */
  readonly kind: string;
  readonly memoryBytes: number;
  /** Price of this device or part: the parts of one GPU share its price evenly. */
  readonly pricePerHour: number;
  /** How it is paid. Absent: on demand, by the hour. */
  readonly billing?: Billing;
  /** Of spot devices: the probability that it is taken away within an hour. */
  readonly lossPerHour?: number;
  /** Concurrent calls that slow each other no more than `slowdown` says. */
  readonly concurrency: number;
  /** How many times as long a call takes while as many as `concurrency` run. Absent: 1. */
  readonly slowdown?: number;
  /** What models on it do to each other; see `sharing` in docs/reference/placement.md. */
  readonly sharing: 'time-sliced' | 'serial' | 'exclusive';
  /** Share of the memory that LLM servers may use. */
  readonly memoryUtilization: number;
  /** As the driver names it: `GPU-…`, `MIG-…`; absent: unknown. */
  readonly uuid?: string;
}

export type LinkType = 'nvlink' | 'pcie' | 'network';

export interface Link {
  readonly name: string;
  readonly type: LinkType;
  /** Ids of all devices that it joins, including those of nodes and links in it. */
  readonly devices: ReadonlySet<string>;
  readonly bytesPerMs: number;
  readonly latencyMs: number;
}

/** A model server that already runs. */
export interface RunningEndpoint {
  readonly url: string;
  readonly connector: string;
  readonly device: string;
  readonly models: readonly string[];
}

export interface Inventory {
  readonly currency: string;
  readonly devices: readonly Device[];
  readonly links: readonly Link[];
  readonly endpoints: readonly RunningEndpoint[];
}

/** Whether a device may be taken away at any time, so that a placement on it must do without it. */
export const isSpot = (device: Pick<Device, 'billing'> | undefined): boolean => device?.billing === 'spot';

/** Transfer between devices: `latencyMs + bytes / bytesPerMs`. */
export type Route = Pick<Link, 'type' | 'bytesPerMs' | 'latencyMs'>;

/**
 * Defaults if the file names no link. Within a node: PCIe 3.0 x16, the slowest among current GPUs. Between nodes: 10
 * Gbit/s and the round trip of a data centre.
 */
export const UNNAMED_ROUTES = {
  node: { type: 'pcie', bytesPerMs: 12e6, latencyMs: 0.02 },
  network: { type: 'network', bytesPerMs: 1.25e6, latencyMs: 0.2 },
} as const satisfies Record<string, Route>;

/**
 * The fastest link that joins both devices; undefined for the same device. A network joins nodes; transfers within a
 * node do not use it.
 */
export function routeBetween({ links }: Inventory, a: Device, b: Device): Route | undefined {
  if (a.id === b.id) return undefined;
  let best: Route | undefined;
  for (const link of links) {
    if (link.type === 'network' && a.node === b.node) continue;
    if (link.devices.has(a.id) && link.devices.has(b.id) && !(best && best.bytesPerMs >= link.bytesPerMs)) best = link;
  }
  return best ?? (a.node === b.node ? UNNAMED_ROUTES.node : UNNAMED_ROUTES.network);
}
