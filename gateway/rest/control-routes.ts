import type { FastifyInstance } from 'fastify';
import type { GivenDecision } from '../../pipelines/run/index.js';
import { actorOf } from '../../runs/caller.js';
import { cancelRun, hasEnded } from '../../runs/cancel.js';
import { decideOn, notWaiting } from '../../runs/decide.js';
import type { RunDocument } from '../../runs/document.js';
import { eraseRun } from '../../runs/erase.js';
import { readActed, readPaced } from '../../runs/paced-runs.js';
import { documentOfStarted, findRun, isDelayed } from '../../runs/read.js';
import { resumeRun } from '../../runs/resume.js';
import { type Caller, callerOf, holds } from '../access/caller.js';
import { RUN_AND_READ } from '../access/permissions.js';
import type { GatewayDeps } from '../deps.js';
import { takeJson } from '../http/json-body.js';
import { leaving } from '../http/leaving.js';
import { decisionOf, resumptionWanted } from './decision.js';
import { CANCEL_RUN, decideDoc, ERASE_RUN, RESUME_RUN } from './run-docs.js';

type OfRun = { Params: { id: string } };

/** Limit of a body: of a decision with changed arguments of 16,000 characters and a reason. */
const MOST_BYTES = 98_304;

/** `POST /v1/runs/{id}/cancel`, `/resume`, `/approve` and `/reject`; `DELETE /v1/runs/{id}`. */
export async function controlRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  takeJson(app, { mayBeEmpty: true, exact: true });

  app.post<OfRun>(
    '/v1/runs/:id/cancel',
    { bodyLimit: MOST_BYTES, config: { doc: CANCEL_RUN } },
    async (request, reply) => {
      const { id } = request.params;
      request.notes.runId = id;
      const caller = callerOf(request);
      await stillRuns(deps, id, caller);
      const how = { running: true, signal: leaving(reply) };
      const { document } = await readActed(deps, id, caller, how, () => cancelRun(deps, id));
      return await reply.code(202).send(shownTo(caller, document));
    },
  );

  const erases = { bodyLimit: MOST_BYTES, config: { permission: RUN_AND_READ, doc: ERASE_RUN } } as const;
  app.delete<OfRun>('/v1/runs/:id', erases, async (request, reply) => {
    const { id } = request.params;
    request.notes.runId = id;
    await eraseRun(deps, id, callerOf(request), leaving(reply));
    return await reply.code(204).send();
  });

  app.post<OfRun>(
    '/v1/runs/:id/resume',
    { bodyLimit: MOST_BYTES, config: { doc: RESUME_RUN } },
    async (request, reply) => {
      const { id } = request.params;
      request.notes.runId = id;
      const caller = callerOf(request);
      const gone = leaving(reply);
      const resumed = await resumeRun(deps, id, caller, resumptionWanted(request.body ?? {}), gone);
      const document = resumed.started
        ? documentOfStarted(deps, resumed.started, resumed.input)
        : (await readPaced(deps, resumed.there, caller, { signal: gone })).document;
      return await reply.code(202).header('location', document.links.self).send(shownTo(caller, document));
    },
  );

  for (const [name, approved, doc] of [
    ['approve', true, decideDoc('approveRun', 'Approve an open wait of a run')],
    ['reject', false, decideDoc('rejectRun', 'Reject an open wait of a run')],
  ] as const) {
    const options = { bodyLimit: MOST_BYTES, config: { permission: 'approve', doc } } as const;
    app.post<OfRun>(`/v1/runs/:id/${name}`, options, async (request, reply) => {
      const { id } = request.params;
      request.notes.runId = id;
      const caller = callerOf(request);
      const { description, accepted, running } = await findRun(deps, id, caller);
      const { stage, ...decided } = decisionOf(request.body ?? {}, approved);
      const { nonce } = decided;
      // Before its first workflow task a run has no waits.
      if (accepted || isDelayed(description)) throw notWaiting(nonce, []);
      const actor = actorOf(caller);
      const sent = { ...decided, approved, ...(actor !== undefined && { actor }) } as GivenDecision;
      // A decision that is sent again is accepted after the end too.
      const how = { running, signal: leaving(reply) };
      const { document } = await readActed(deps, id, caller, how, () =>
        decideOn(deps, { id, tenant: caller.tenant }, sent, stage),
      );
      return await reply.code(202).send(shownTo(caller, document));
    });
  }
}

async function stillRuns(deps: GatewayDeps, id: string, caller: Caller): Promise<void> {
  if (!(await findRun(deps, id, caller)).running) throw hasEnded();
}

/** A run may be another key's: what it was given and has made is for callers that may read. */
function shownTo(caller: Caller, document: RunDocument): RunDocument {
  if (holds(caller, 'read')) return document;
  const { id, pipeline, version, tenant, status, createdAt, endedAt, resumedFrom, resumedAs, links } = document;
  const times = { createdAt, ...(endedAt !== undefined && { endedAt }) };
  const resumption = {
    ...(resumedFrom !== undefined && { resumedFrom }),
    ...(resumedAs !== undefined && { resumedAs }),
  };
  return { id, pipeline, version, tenant, status, ...times, ...resumption, links };
}
