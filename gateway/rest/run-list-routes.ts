import type { FastifyInstance } from 'fastify';
import {
  approvals,
  listRequestOf,
  MOST_ASKED,
  MOST_ROWS,
  PATTERNS,
  RUN_STATUSES,
  USUAL_ROWS,
  waitingRuns,
} from '../../runs/list/index.js';
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
    waiting: {
      description: `\`true\`: only runs that wait for a person, with \`waiting\`; at most ${MOST_ASKED} a page`,
      schema: { const: 'true' },
    },
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
          unknown: {
            type: 'array',
            items: { type: 'string' },
            description: 'With `waiting`: ids of runs that no worker could be asked about',
          },
        },
        required: ['runs'],
      }),
    },
  },
  problems: ['INVALID_INPUT', 'ORCHESTRATOR_UNAVAILABLE'],
};

const APPROVALS: RouteDoc = {
  tag: 'runs',
  operation: 'listApprovals',
  summary: 'What the tenant’s runs wait for',
  description:
    'The open waits of running runs and their child runs, with what a decision has to carry: `nonce`. A page may have none although more ' +
    'follow. Runs in `unknown` could not be asked, for lack of a worker.',
  query: {
    pipeline: { description: 'Only runs of this pipeline', schema: text(PATTERNS.pipeline) },
    limit: {
      description: 'Most runs that are asked for the page',
      schema: { type: 'integer', minimum: 1, maximum: MOST_ASKED, default: USUAL_ROWS },
    },
    cursor: { description: '`nextCursor` of the page before, with the same filters', schema: text(PATTERNS.cursor) },
  },
  answers: {
    200: {
      description: 'A page of them',
      content: json({
        type: 'object',
        properties: {
          approvals: {
            type: 'array',
            items: {
              type: 'object',
              properties: {
                run: { type: 'string', description: 'The run’s id, under which the wait is decided' },
                pipeline: { type: 'string' },
                nonce: { type: 'string' },
                stage: { type: 'string' },
                path: { type: 'string', description: 'Position in the run, child runs included' },
                subject: { type: 'string' },
                call: { type: 'object', description: 'For a call of a tool: `tool`, `arguments`, `digest`' },
                session: { type: 'string', description: 'Session of the agent that makes the call' },
                since: time,
                until: time,
                otherwise: { type: 'boolean', description: 'The decision if none is made by then' },
                links: { type: 'object' },
              },
              required: ['run', 'pipeline', 'nonce', 'stage', 'path', 'subject', 'since', 'until', 'otherwise'],
            },
          },
          unknown: { type: 'array', items: { type: 'string' } },
          nextCursor: { type: 'string', description: 'Where the list goes on; absent at its end' },
        },
        required: ['approvals', 'unknown'],
      }),
    },
  },
  problems: ['INVALID_INPUT', 'ORCHESTRATOR_UNAVAILABLE'],
};

/** `GET /v1/runs` and `GET /v1/approvals`. */
export async function runListRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  app.get('/v1/runs', { config: { doc: LIST } }, async (request) => {
    const { waiting, ...wanted } = listRequestOf(request.query);
    const caller = callerOf(request);
    return waiting ? await waitingRuns(deps, caller, wanted) : await deps.list.page(caller, wanted);
  });

  app.get('/v1/approvals', { config: { doc: APPROVALS } }, async (request) => {
    const { waiting: _, ...wanted } = listRequestOf(request.query);
    return await approvals(deps, callerOf(request), wanted);
  });
}
