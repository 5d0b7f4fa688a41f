import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { MillraceError } from '../../pipelines/errors.js';
import { invalidField } from '../../pipelines/invalid-fields.js';
import { readPaced } from '../../runs/paced-runs.js';
import { callerOf } from '../access/caller.js';
import { RUN_AND_READ } from '../access/permissions.js';
import type { GatewayDeps } from '../deps.js';
import { takeJson } from '../http/json-body.js';
import { leaving } from '../http/leaving.js';
import { OF_RUNS } from '../openapi/problems.js';
import type { RouteDoc } from '../openapi/route-doc.js';
import { json, schemaOf } from '../openapi/schemas.js';
import { wrongHit, wrongHitOf } from './decision.js';
import { ID } from './run-docs.js';

const MOST_BYTES = 16_384;

const evicted = z.object({
  evicted: z
    .array(z.object({ stage: z.string(), tier: z.enum(['exact', 'guard', 'verifier', 'entailment']) }))
    .describe(
      'The stages whose cached answer was removed; empty if none was served from the cache, or if it had gone already',
    ),
});

const REPORT_WRONG: RouteDoc = {
  tag: 'runs',
  path: ID,
  operation: 'reportWrongHit',
  summary: 'Report that a cached answer of a run was wrong',
  body: { required: false, content: json(schemaOf(wrongHit), {}) },
  answers: { 200: { description: 'The answers that were removed', content: json(schemaOf(evicted)) } },
  problems: [...OF_RUNS, 'INVALID_INPUT', 'STORE_UNAVAILABLE'],
};

/** `POST /v1/runs/{id}/cache/wrong`. */
export async function cacheRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  takeJson(app, { mayBeEmpty: true });
  app.post<{ Params: { id: string } }>(
    '/v1/runs/:id/cache/wrong',
    { bodyLimit: MOST_BYTES, config: { permission: RUN_AND_READ, doc: REPORT_WRONG } },
    async (request, reply) => {
      const { id } = request.params;
      request.notes.runId = id;
      const caller = callerOf(request);
      const { stage } = wrongHitOf(request.body ?? {});
      const { document } = await readPaced(deps, id, caller, { signal: leaving(reply) });
      const hits = (document.stages ?? []).filter(
        (row) => row.cachedBy && (stage === undefined || row.stage === stage),
      );
      if (hits.length === 0 && stage !== undefined) {
        const message = `the stage ${stage} of the run was not served from the semantic cache`;
        throw invalidField('stage', message);
      }
      if (hits.length === 0) return { evicted: [] };
      if (!deps.cache) throw new MillraceError('STORE_UNAVAILABLE', 'this gateway has no connection to the cache');
      const removed: z.output<typeof evicted>['evicted'] = [];
      for (const { stage: name, cachedBy } of hits) {
        if (cachedBy && (await deps.cache.reportWrong(caller.tenant, cachedBy)))
          removed.push({ stage: name, tier: cachedBy.tier });
      }
      return { evicted: removed };
    },
  );
}
