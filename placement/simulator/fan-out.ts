import type { Load } from './load.js';
import { DRAW, drawOf } from './random.js';
import type { SimulatedStage } from './system.js';

/**
 * Calls of a stage in a run: what the load or the mean says. Of a number that is not whole, the next smaller or larger one, so that it
 * is right on average; stages of a run are rounded alike, since the stages of an `each` have the same entries.
 */
export function callsIn({ calls, fanOut }: SimulatedStage, { sizes }: Load, seed: number, request: number): number {
  if (fanOut === undefined) return calls;
  const stated = fanOut.column === undefined ? undefined : sizes[fanOut.column]?.[request];
  const wanted = stated === undefined || Number.isNaN(stated) ? fanOut.mean : stated;
  const least = Math.floor(wanted);
  const more = wanted - least;
  return Math.min(calls, more > 0 && drawOf(seed, request, DRAW.calls) <= more ? least + 1 : least);
}

/** Calls of a stage in a run on average, those that a cache answers included; branches that are not taken are not counted. */
export const meanCalls = ({ calls, fanOut }: SimulatedStage): number => fanOut?.mean ?? calls;
