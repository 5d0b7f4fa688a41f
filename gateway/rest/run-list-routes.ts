import type { FastifyInstance } from 'fastify';
import { listRequestOf, MOST_ROWS, PATTERNS, RUN_STATUSES, USUAL_ROWS } from '../../runs/list/index.js';
import { callerOf } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import type { RouteDoc } from '../openapi/route-doc.js';
import { component, json } from '../openapi/schemas.js';

const text = (pattern: RegExp) => ({ type: 'string', pattern: pattern.source });
const time = { type: 'string', format: 'date-time' };

const LIST: RouteDoc = {
  tag: 'runs',
  operation: 'listRuns',
  summary: 'The runs of the tenant',
  description:
    'Those that go on, the latest start first; then those that have ended, the latest end first. The rows are runs without `input`, ' +
    '`output`, `stages` and `error`.',
  query: {
    pipeline: { description: 'Only runs of this pipeline', schema: text(PATTERNS.pipeline) },
    status: { description: 'Only runs that are so', schema: { type: 'string', enum: [...RUN_STATUSES] } },
    version: { description: 'Only runs of this version of the plan', schema: text(PATTERNS.version) },
    from: { description: 'Only runs that were started then or later; a date is its midnight in UTC', schema: time },
    to: { description: 'Only runs that were started before', schema: time },
    id: { description: 'What the id begins with', schema: text(PATTERNS.id) },
    limit: {
      description: 'Most runs of the page',
      schema: { type: 'integer', minimum: 1, maximum: MOST_ROWS, default: USUAL_ROWS },
    },
    cursor: {
      description: '`nextCursor` of the page before, with the same filters',
      schema: text(PATTERNS.cursor),
    },
  },
  answers: {
    200: {
      description: 'A page of them',
      content: json({
        type: 'object',
        properties: {
          runs: { type: 'array', items: component('Run') },
          nextCursor: { type: 'string', description: 'Where the list goes on; absent at its end' },
        },
        required: ['runs'],
      }),
    },
  },
  problems: ['INVALID_INPUT', 'ORCHESTRATOR_UNAVAILABLE'],
};

/** `GET /v1/runs`. */
export async function runListRoutes(app: FastifyInstance, { list }: GatewayDeps): Promise<void> {
  app.get('/v1/runs', { config: { doc: LIST } }, async (request) =>
    list.page(callerOf(request), listRequestOf(request.query)),
  );
}
