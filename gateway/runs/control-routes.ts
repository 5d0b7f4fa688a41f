import type { WorkflowHandle } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import type { FastifyInstance } from 'fastify';
import { MillraceError } from '../../pipelines/errors.js';
import { isJsonObject, type Json } from '../../pipelines/json.js';
import { APPROVE_SIGNAL, WAITING_QUERY } from '../../pipelines/plan/index.js';
import { type Caller, callerOf } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { takeJson } from '../http/json-body.js';
import { fromTemporal, TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import { findRun, readRun } from './run-read.js';

type OfRun = { Params: { id: string } };

/** A decision's body has two short fields. */
const MOST_BYTES = 16_384;
/** Longest name of who decided: it is kept in the run's history. */
const LONGEST_NAME = 200;

/** `POST /v1/runs/{id}/cancel`, `/approve` and `/reject`. */
export async function controlRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  takeJson(app, { mayBeEmpty: true });

  app.post<OfRun>('/v1/runs/:id/cancel', { bodyLimit: MOST_BYTES }, async (request, reply) => {
    const { id } = request.params;
    request.notes.runId = id;
    const caller = callerOf(request);
    await stillRuns(deps, id, caller);
    await tell(deps, () => deps.temporal.workflow.getHandle(id).cancel());
    return await reply.code(202).send((await readRun(deps, id, caller)).document);
  });

  for (const [name, approved] of [
    ['approve', true],
    ['reject', false],
  ] as const) {
    app.post<OfRun>(`/v1/runs/:id/${name}`, { bodyLimit: MOST_BYTES }, async (request, reply) => {
      const { id } = request.params;
      request.notes.runId = id;
      const caller = callerOf(request, 'approve');
      const { stage, by } = decisionOf((request.body ?? {}) as Json);
      await stillRuns(deps, id, caller);
      const handle = deps.temporal.workflow.getHandle(id);
      const path = theOne(await waitingIn(deps, handle), stage);
      await tell(deps, () => handle.signal(`${APPROVE_SIGNAL}${path}`, { approved, ...(by !== undefined && { by }) }));
      return await reply.code(202).send((await readRun(deps, id, caller)).document);
    });
  }
}

async function stillRuns(deps: GatewayDeps, id: string, caller: Caller): Promise<void> {
  if (!(await findRun(deps, id, caller)).running) throw hasEnded();
}

const hasEnded = () => new MillraceError('RUN_ENDED', 'the run has ended; GET it for how');

/** The paths of the stages that wait for a decision: the run itself is asked, which takes a worker. */
async function waitingIn({ temporal }: GatewayDeps, handle: WorkflowHandle): Promise<readonly string[]> {
  try {
    return await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () =>
      handle.query<readonly string[]>(WAITING_QUERY),
    );
  } catch (error) {
    const message = 'no worker says what the run waits for; try again';
    throw new MillraceError('ORCHESTRATOR_UNAVAILABLE', message, {}, { cause: error });
  }
}

function decisionOf(body: Json): { stage?: string; by?: string } {
  if (!isJsonObject(body)) throw invalid('body', 'must be a JSON object');
  const unknown = Object.keys(body).find((name) => name !== 'stage' && name !== 'by');
  if (unknown !== undefined) throw invalid(unknown, 'is not a field; there are stage and by');
  for (const name of ['stage', 'by'] as const) {
    const value = body[name];
    if (value === undefined) continue;
    if (typeof value !== 'string' || value === '' || value.length > LONGEST_NAME)
      throw invalid(name, `must be a text of 1 to ${LONGEST_NAME} characters`);
  }
  return body as { stage?: string; by?: string };
}

/** The path of the stage that is decided on: the one named, or the only one that waits. */
function theOne(waiting: readonly string[], stage: string | undefined): string {
  const [only, ...others] = waiting;
  if (stage !== undefined && waiting.includes(stage)) return stage;
  if (stage === undefined && only !== undefined && others.length === 0) return only;
  if (stage === undefined && only !== undefined)
    throw invalid('stage', `must say which of these is meant: ${waiting.join(', ')}`);
  const those = waiting.length > 0 ? `; what waits is ${waiting.join(', ')}` : '';
  const what = stage === undefined ? 'no stage of the run waits' : `stage "${stage}" does not wait`;
  throw new MillraceError('NOT_WAITING', `${what} for a decision${those}`);
}

const invalid = (field: string, message: string) =>
  new MillraceError('INVALID_INPUT', `${field}: ${message}`, { fields: [{ field, message }] });

/** Tells a run that was there a moment ago something: Temporal takes nothing for one that has ended. */
async function tell({ temporal }: GatewayDeps, work: () => Promise<unknown>): Promise<void> {
  try {
    await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, work);
  } catch (error) {
    throw error instanceof WorkflowNotFoundError ? hasEnded() : fromTemporal(error, '');
  }
}
