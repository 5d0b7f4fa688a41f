import { z } from 'zod';
import { bandwidth, latency, memory } from '../source/index.js';

/** `cluster.yaml` as written; `readInventory` converts it to devices. See docs/reference/placement.md. */

const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
const name = (what: string) =>
  z.string({ error: `give ${what} a name` }).regex(NAME, `${what}: lower-case letters, digits and "-", at most 63`);

/** A host name: workers reach its servers by it, and Kubernetes compares it with a label, whose values have at most 63 characters. */
const NODE = /^[a-z0-9][a-z0-9-]*(?:\.[a-z0-9][a-z0-9-]*)*$/;
const nodeName = z
  .string({ error: 'give a node a name' })
  .max(63, 'a node: at most 63 characters')
  .regex(NODE, 'a node: its host name, lower-case letters, digits, "-" and "."');

const share = z.strictObject({
  /** `mig`: each part is a device of its own. `mps`: one device that runs `parts` calls concurrently. */
  mode: z.enum(['mig', 'mps'], { error: 'must be "mig" or "mps"' }),
  parts: z.int({ error: 'give a whole number of parts' }).min(2, 'at least 2 parts').max(48, 'at most 48 parts'),
  /** Of a part of MIG. Default: an eighth, a quarter or a half of the GPU's, as the hardware divides it. */
  memory: memory.optional(),
});

const device = z.strictObject({
  kind: name('a device kind'),
  count: z
    .int({ error: 'give a whole number of devices' })
    .min(1, 'at least one device')
    .max(1024, 'at most 1024 a line')
    .default(1),
  memory,
  /** Per device, in the file's currency. */
  pricePerHour: z
    .number({ error: 'give a price per hour, e.g. 2.40' })
    .min(0, 'a price is not negative')
    .max(1e9, 'at most 1000000000 per hour')
    .default(0),
  /**
   * How it is paid. `on-demand`: by the hour in which it is used. `reserved`: at all hours. `spot`: by the hour, and the provider may
   * take it away, each hour with the probability `lossPerHour`.
   */
  billing: z
    .enum(['on-demand', 'reserved', 'spot'], { error: 'must be "on-demand", "reserved" or "spot"' })
    .default('on-demand'),
  lossPerHour: z
    .number({ error: 'give a probability per hour, e.g. 0.05' })
    .gt(0, 'above 0: a device that is never lost is on-demand')
    .lt(1, 'below 1')
    .optional(),
  /** Concurrent calls that do not slow each other, or no more than `slowdown`: the cores of a CPU. */
  concurrency: z
    .int({ error: 'give a whole number of calls' })
    .min(1, 'at least one call at once')
    .max(1024, 'at most 1024 calls at once')
    .default(1),
  /**
   * How many times as long a call takes while as many run as `concurrency`, or the parts of `mps`, allow: by their memory traffic and
   * the clocks. 1: they do not slow each other.
   */
  slowdown: z
    .number({ error: 'give how many times as long a call takes, e.g. 1.3' })
    .min(1, 'at least 1: calls that do not slow each other')
    .default(1),
  /**
   * What models on one device do to each other. `time-sliced`: they share its time evenly (processes on a GPU or CPU).
   * `serial`: one batch after the other, in order. `exclusive`: one model alone (compute mode EXCLUSIVE_PROCESS).
   */
  sharing: z
    .enum(['time-sliced', 'serial', 'exclusive'], { error: 'must be "time-sliced", "serial" or "exclusive"' })
    .default('time-sliced'),
  /**
   * Share of the memory that LLM servers may use, as vLLM’s --gpu-memory-utilization: the rest is for the driver, other
   * buffers and fragments.
   */
  memoryUtilization: z.number({ error: 'give a share such as 0.9' }).gt(0, 'above 0').max(1, 'at most 1').default(0.9),
  /** Ids of the devices as the driver names them (`nvidia-smi -L`), one for each; for MIG one for each part. */
  uuids: z.array(z.string().min(1)).optional(),
  share: share.optional(),
});

const link = z.strictObject({
  name: name('a link'),
  type: z.enum(['nvlink', 'pcie', 'network'], { error: 'must be "nvlink", "pcie" or "network"' }),
  /** Devices (`gpu1/0`), nodes (`gpu1`, with all their devices) and other links. */
  joins: z
    .array(z.string(), { error: 'list what it joins, e.g. [gpu1/0, gpu1/1]' })
    .min(1, 'it joins nothing')
    .max(4096, 'at most 4096: join nodes, or other links'),
  bandwidth,
  latency,
});

const endpoint = z.strictObject({
  url: z.string().min(1),
  connector: z.string().min(1),
  device: z.string({ error: 'name the device that it runs on, e.g. gpu1/0' }),
  /** The models that it serves, by their pools' names; empty: any of its connector. */
  models: z.array(z.string().min(1)).default([]),
});

export const inventorySchema = z.strictObject({
  format: z.literal(1, { error: 'must be 1, the format of this release' }),
  currency: z.string().min(1).max(8).default('EUR'),
  nodes: z
    .array(
      z.strictObject({
        name: nodeName,
        devices: z.array(device, { error: 'list the node’s devices' }).min(1, 'a node without devices: remove it'),
      }),
      { error: 'list the nodes' },
    )
    .min(1, 'no nodes: list at least one'),
  links: z.array(link, { error: 'list the links' }).max(1000, 'at most 1000 links').default([]),
  endpoints: z.array(endpoint).default([]),
});

export type InventoryFile = z.output<typeof inventorySchema>;
