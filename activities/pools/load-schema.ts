import { z } from 'zod';
import { parseSchedule } from './schedule.js';
import { serverAddress } from './server-address.js';

const UNITS = { MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const;

/** An amount of memory, in bytes: `800MiB`, `1.5GiB`. */
const memory = z
  .string()
  .regex(/^\d{1,6}(\.\d{1,3})?(MiB|GiB|TiB)$/, 'must be an amount of memory such as "800MiB" (units: MiB, GiB, TiB)')
  .transform((text) => Math.round(Number.parseFloat(text) * UNITS[text.slice(-3) as keyof typeof UNITS]))
  .refine((bytes) => bytes > 0, 'must be more than nothing');

const SCHEDULE =
  'must be a schedule of five fields such as "50 7 * * 1-5": minute, hour, day, month, day of the week, in UTC';

/** `load` of a pool: its model is loaded when it is called, and unloaded to make room for others. */
export const loadSchema = z
  .strictObject({
    /** What the model takes when it is loaded. */
    memory,
    /** What each server has for all models that are loaded on demand: the same in all pools of a server. */
    of: memory,
    /** It is loaded as soon as workers run, and is not unloaded. */
    pin: z.boolean().default(false),
    /** When it is loaded without having been called. */
    prefetch: z
      .string()
      .refine((text) => parseSchedule(text) !== undefined, SCHEDULE)
      .optional(),
  })
  .refine((load) => load.memory <= load.of, { path: ['memory'], message: 'is more than `of`, what its servers have' });

export type LoadConfig = z.output<typeof loadSchema>;

interface LoadedPool {
  readonly connector: string;
  readonly model: string;
  readonly endpoints: readonly { readonly url: string }[];
  readonly load?: LoadConfig | undefined;
}

interface Mistake {
  readonly path: string[];
  readonly message: string;
}

/** Pools of one server that contradict each other, and servers whose pinned models do not fit. */
export function mistakesOfMemory(pools: Readonly<Record<string, LoadedPool>>): Mistake[] {
  const servers = new Map<string, { readonly of: number; readonly pinned: Map<string, number> }>();
  const mistakes: Mistake[] = [];
  for (const [name, { connector, model, endpoints, load }] of Object.entries(pools)) {
    if (!load) continue;
    for (const { url } of endpoints) {
      const at = `${connector} ${serverAddress(url)}`;
      const server = servers.get(at) ?? { of: load.of, pinned: new Map<string, number>() };
      servers.set(at, server);
      if (server.of !== load.of) {
        mistakes.push({ path: [name, 'load', 'of'], message: `differs from that of another pool at ${url}` });
        continue;
      }
      if (!load.pin) continue;
      server.pinned.set(model, Math.max(load.memory, server.pinned.get(model) ?? 0));
      if ([...server.pinned.values()].reduce((sum, bytes) => sum + bytes, 0) > server.of) {
        mistakes.push({ path: [name, 'load', 'pin'], message: `the pinned models at ${url} do not fit into \`of\`` });
      }
    }
  }
  return mistakes;
}
