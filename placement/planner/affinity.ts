import type { ReadProfile } from '../profiles/index.js';
import { CACHED_COLUMN, isCachedColumn, type PrefixRouting } from '../simulator/index.js';

/** How calls of a pool choose among its endpoints, and what says so: an option, the models file, or neither. */
export interface PoolAffinity {
  readonly affinity: 'prefix' | 'session' | 'none';
  readonly by: 'option' | 'models' | 'default';
}

/** A pool of chats keeps its sessions together unless it says otherwise. */
const UNSTATED: PoolAffinity = { affinity: 'session', by: 'default' };
/** Of a model served apart: a router that is not ours chooses, and unless it is stated nothing is known of it. */
const UNKNOWN: PoolAffinity = { affinity: 'none', by: 'default' };

/** The affinity of a model's calls. */
export function affinityOf(
  model: string,
  stated: Readonly<Record<string, PoolAffinity>> = {},
  apart: Readonly<Record<string, string>> = {},
): PoolAffinity {
  const own = stated[model];
  if (apart[model] === undefined) return own ?? UNSTATED;
  return own?.by === 'option' ? own : UNKNOWN;
}

/** Sessions and prefixes both bring a prompt to where its beginning was computed. */
export const routingOf = ({ affinity }: PoolAffinity): PrefixRouting => (affinity === 'none' ? 'unaware' : 'aware');

/** Whether a load with these columns says what prefix caches have of the prompts of some profiled model. */
export function tellsOfPrefixes(profiles: readonly ReadProfile[], columns: readonly string[]): boolean {
  const names = new Set(
    profiles.flatMap(({ value }) => (value.batching === 'continuous' ? [value.size.cached ?? CACHED_COLUMN] : [])),
  );
  return columns.some((column) => [...names].some((name) => isCachedColumn(column, name)));
}
