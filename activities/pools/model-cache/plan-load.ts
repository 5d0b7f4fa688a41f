import type { LoadState } from '../../connectors/connector.js';
import { type ModelUse, victimsFor, type Worth } from './policy.js';

/** What the workers know of one model of a server. */
export interface KnownModel {
  readonly bytes: number;
  readonly uses: number;
  readonly at: number;
  readonly clock: number;
  readonly loadMs?: number | undefined;
  /** Calls are under way or wait for a slot, at any worker. */
  readonly held: boolean;
  /** Calls wait until it is loaded, or it has been loaded for them just now. */
  readonly wanted: boolean;
  /** It stays loaded. */
  readonly pinned: boolean;
  /** A worker loads or unloads it. */
  readonly changing?: 'load' | 'unload' | undefined;
  /** Why it could not be loaded, for as long as that is not tried again. */
  readonly failed?: string | undefined;
}

export interface Ground {
  readonly model: string;
  /** Memory of the server for all models that workers load. */
  readonly budget: number;
  readonly known: ReadonlyMap<string, KnownModel>;
  /** Models that take memory at the server; the others are not loaded. */
  readonly states: ReadonlyMap<string, LoadState>;
  readonly worth: Worth;
}

/**
 * - `ready`: it is loaded
 * - `wait`: a worker or another client loads or unloads it
 * - `full`: too much of the memory is in use
 * - `load`: these are to be unloaded first
 */
export type LoadPlan =
  | { readonly next: 'ready' | 'wait' | 'full' }
  | { readonly next: 'load'; readonly victims: readonly ModelUse[] };

/** What has to be done so that a model is loaded. Models that workers do not know are not counted and not touched. */
export function planLoad({ model, budget, known, states, worth }: Ground): LoadPlan {
  const own = known.get(model);
  const state = states.get(model);
  if (own?.changing) return { next: 'wait' };
  if (state === 'ready') return { next: 'ready' };
  // A model whose process is dead may report for ever that it is being unloaded, and can be loaded nevertheless.
  if (state === 'loading') return { next: 'wait' };
  const others = [...known].filter(([name]) => name !== model);
  const taken = others.filter(([name, { changing }]) => states.has(name) || changing === 'load');
  const used = taken.reduce((sum, [, { bytes }]) => sum + bytes, 0);
  const idle = taken
    .filter(
      ([name, { held, wanted, pinned, changing }]) =>
        states.get(name) === 'ready' && !held && !wanted && !pinned && !changing,
    )
    .map(([name, use]) => ({ ...use, name }));
  const victims = victimsFor(used + (own?.bytes ?? 0) - budget, idle, worth);
  return victims ? { next: 'load', victims } : { next: 'full' };
}
