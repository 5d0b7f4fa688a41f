import type { FastifyRequest } from 'fastify';
import { MillraceError } from '../../pipelines/errors.js';
import type { RunDocument } from '../../runs/document.js';
import type { GatewayDeps } from '../deps.js';
import { type Contexts, type FoundTask, readTask } from './contexts.js';
import { ProtocolError, RPC } from './errors.js';
import type { Asker } from './task.js';
import type { Wire } from './wire.js';

/** A request about tasks. */
export interface Ask extends Asker {
  readonly deps: GatewayDeps;
  readonly contexts: Contexts;
  /** The version that the request is written in. */
  readonly wire: Wire;
  readonly request: FastifyRequest;
  /** Aborts when the client disconnects. */
  readonly left: AbortSignal;
  /** Aborts at shutdown: tasks go on. */
  readonly closing: AbortSignal;
}

/** A task of this agent. Throws `RUN_NOT_FOUND`, and `RATE_LIMITED` while too many large runs of the tenant are read. */
export async function findTask(
  { deps, caller, agent, request, left }: Ask,
  run: string,
  options?: Parameters<typeof readTask>[3],
): Promise<FoundTask> {
  const found = await readTask(deps, run, caller, { signal: left, ...options });
  if (found.record.document.pipeline !== agent.pipeline.name) {
    const message = `no task of this agent has the id "${run}"`;
    throw new MillraceError('RUN_NOT_FOUND', message, { fields: [{ field: 'id', message }] });
  }
  request.notes.runId = run;
  return found;
}

/** Throws the protocol's error if a task has ended: nothing more happens to it. */
export function expectOpen({ status, id }: RunDocument): void {
  if (status !== 'running') throw ended(RPC.unsupportedOperation, id);
}

export const ended = (rpc: number, run: string): ProtocolError =>
  new ProtocolError(rpc, 'RUN_ENDED', `the task ${run} has ended`);
