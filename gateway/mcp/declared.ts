import type { McpOption } from '../../pipelines/definition/index.js';
import { mayUse } from '../../runs/caller.js';
import { holds } from '../access/caller.js';
import { asMillraceError } from '../http/problem.js';
import type { Serving } from './serving.js';
import { asError } from './task-handlers.js';

/**
 * What the pipelines that the caller may run have declared, by its key, which is the client's only name for it. Of two with one key
 * that of the first pipeline is served.
 */
export function declaredBy<T>(
  { tools, caller }: Serving,
  of: (declared: Required<McpOption>) => readonly (readonly [key: string, value: T])[],
): ReadonlyMap<string, T> {
  const found = new Map<string, T>();
  if (!holds(caller, 'run')) return found;
  for (const { pipeline } of tools.values()) {
    if (!pipeline.mcp || !mayUse(caller, pipeline)) continue;
    for (const [key, value] of of(pipeline.mcp)) if (!found.has(key)) found.set(key, value);
  }
  return found;
}

/** Whether a pipeline of the gateway has a prompt: others declare no capability for them. */
export const hasPrompts = ({ tools }: Serving): boolean =>
  [...tools.values()].some(({ pipeline: { mcp } }) => mcp !== undefined && mcp.prompts.length > 0);

/** Counts what a response will hold. Throws the protocol's error while responses hold too much memory. */
export function take({ response }: Serving, bytes: number): void {
  try {
    response?.take(bytes);
  } catch (error) {
    throw asError(asMillraceError(error));
  }
}
