import type { Json, JsonObject } from '../pipelines/json.js';
import { bytesOf } from '../pipelines/json-limits.js';
import type { StageCall } from '../pipelines/run/index.js';

/*
 * Sizes of commands, by which `MessageRoom` says where those of a workflow task end. A replay must end them in the same place, also under another
 * release: what counts is data that the history has, and a constant for what the code of a release puts around it.
 */

/** For a command without its data, in bytes. */
export const AROUND_BYTES = 1_000;

const known = new WeakMap<object, number>();

/** Bytes of a part of the run's plan: counted once. */
export function planBytes(part: object): number {
  const before = known.get(part);
  if (before !== undefined) return before;
  const bytes = bytesOf(part as unknown as Json);
  known.set(part, bytes);
  return bytes;
}

/**
 * @param ofInput bytes of the call's input, which a semantic cache is asked by too
 * @param planned options of its stage in the plan: an agent's turns have what is made of them
 */
export const callBytes = (
  ofInput: number,
  planned: JsonObject,
  { cache, turn }: Pick<StageCall, 'cache' | 'turn'>,
): number =>
  ofInput * (cache?.kind === 'semantic' ? 2 : 1) + planBytes(planned) + (turn ? bytesOf(turn.said) : 0) + AROUND_BYTES;
