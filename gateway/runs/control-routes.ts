import { WorkflowNotFoundError } from '@temporalio/common';
import type { FastifyInstance } from 'fastify';
import { APPROVE_SIGNAL } from '../../pipelines/plan/index.js';
import { actorOf, type Caller, callerOf } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { takeJson } from '../http/json-body.js';
import { cancelRun, hasEnded } from './cancel-run.js';
import { decisionOf, resumptionWanted, theOne } from './decision.js';
import { fromTemporal, TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import { resumeRun } from './resume-run.js';
import { CANCEL_RUN, decideDoc, RESUME_RUN } from './run-docs.js';
import { runPath } from './run-document.js';
import { documentOfStarted, findRun, readRun } from './run-read.js';
import { waitingIn } from './waiting.js';

type OfRun = { Params: { id: string } };

/** A decision's body has two short fields. */
const MOST_BYTES = 16_384;

/** `POST /v1/runs/{id}/cancel`, `/resume`, `/approve` and `/reject`. */
export async function controlRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  takeJson(app, { mayBeEmpty: true });

  app.post<OfRun>(
    '/v1/runs/:id/cancel',
    { bodyLimit: MOST_BYTES, config: { doc: CANCEL_RUN } },
    async (request, reply) => {
      const { id } = request.params;
      request.notes.runId = id;
      const caller = callerOf(request);
      await stillRuns(deps, id, caller);
      await cancelRun(deps, id);
      return await reply.code(202).send((await readRun(deps, id, caller)).document);
    },
  );

  app.post<OfRun>(
    '/v1/runs/:id/resume',
    { bodyLimit: MOST_BYTES, config: { doc: RESUME_RUN } },
    async (request, reply) => {
      const { id } = request.params;
      request.notes.runId = id;
      const caller = callerOf(request, 'run');
      const { run, input } = await resumeRun(deps, id, caller, resumptionWanted(request.body ?? {}));
      const document = run.replayed
        ? (await readRun(deps, run.id, caller)).document
        : documentOfStarted(deps, run, input);
      return await reply.code(202).header('location', runPath(run.id)).send(document);
    },
  );

  for (const [name, approved, doc] of [
    ['approve', true, decideDoc('approveRun', 'Approve what a stage of the run waits for')],
    ['reject', false, decideDoc('rejectRun', 'Reject what a stage of the run waits for')],
  ] as const) {
    app.post<OfRun>(`/v1/runs/:id/${name}`, { bodyLimit: MOST_BYTES, config: { doc } }, async (request, reply) => {
      const { id } = request.params;
      request.notes.runId = id;
      const caller = callerOf(request, 'approve');
      const { stage, by } = decisionOf(request.body ?? {});
      await stillRuns(deps, id, caller);
      const { workflowId, inside } = theOne(await waitingIn(deps, id, stage), stage);
      const handle = deps.temporal.workflow.getHandle(workflowId);
      const actor = actorOf(caller);
      const sent = { approved, ...(by !== undefined && { by }), ...(actor !== undefined && { actor }) };
      await tell(deps, () => handle.signal(`${APPROVE_SIGNAL}${inside}`, sent));
      return await reply.code(202).send((await readRun(deps, id, caller)).document);
    });
  }
}

async function stillRuns(deps: GatewayDeps, id: string, caller: Caller): Promise<void> {
  if (!(await findRun(deps, id, caller)).running) throw hasEnded();
}

/** Tells a run that was there a moment ago something: Temporal takes nothing for one that has ended. */
async function tell({ temporal }: GatewayDeps, work: () => Promise<unknown>): Promise<void> {
  try {
    await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, work);
  } catch (error) {
    throw error instanceof WorkflowNotFoundError ? hasEnded() : fromTemporal(error, '');
  }
}
