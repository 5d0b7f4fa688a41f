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
  summary: 'List the runs of the tenant',
  description:
    'Running ones, the latest start first; then ended ones, the latest end first. The rows are runs without `input`, ' +
    '`output`, `stages` and `error`.',
  query: {
    pipeline: { description: 'Only runs of this pipeline', schema: text(PATTERNS.pipeline) },
    status: { description: 'Only runs with this status', schema: { type: 'string', enum: [...RUN_STATUSES] } },
    waiting: {
      description: `\`true\`: only runs that wait for a person, with \`waiting\`; at most ${MOST_ASKED} a page`,
      schema: { const: 'true' },
    },
    version: { description: 'Only runs of this version of the plan', schema: text(PATTERNS.version) },
    from: { description: 'Only runs started at this time or later; a date means midnight UTC', schema: time },
    to: { description: 'Only runs started before this time', schema: time },
    id: { description: 'Prefix of the run’s id', schema: text(PATTERNS.id) },
    limit: {
      description: 'Maximum number of runs of the page',
      schema: { type: 'integer', minimum: 1, maximum: MOST_ROWS, default: USUAL_ROWS },
    },
    cursor: {
      description: '`nextCursor` of the previous page, with the same filters',
      schema: text(PATTERNS.cursor),
    },
  },
  answers: {
    200: {
      description: 'A page of the list',
      content: json({
        type: 'object',
        properties: {
          runs: { type: 'array', items: component('Run') },
          nextCursor: { type: 'string', description: 'Cursor of the next page; absent on the last one' },
          unknown: {
            type: 'array',
            items: { type: 'string' },
            description: 'With `waiting`: ids of runs whose waits no worker could report',
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
  summary: 'List the open approvals of the tenant’s runs',
  description:
    'The open waits of running runs and their child runs, with the `nonce` that a decision needs. A page may be empty although more ' +
    'follow. `unknown` lists runs that could not be queried because no worker was available.',
  query: {
    pipeline: { description: 'Only runs of this pipeline', schema: text(PATTERNS.pipeline) },
    limit: {
      description: 'Maximum number of runs that are queried for the page',
      schema: { type: 'integer', minimum: 1, maximum: MOST_ASKED, default: USUAL_ROWS },
    },
    cursor: { description: '`nextCursor` of the previous page, with the same filters', schema: text(PATTERNS.cursor) },
  },
  answers: {
    200: {
      description: 'A page of the list',
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
                shortened: {
                  type: 'boolean',
                  description:
                    'Only the beginning of `subject` is there, or `arguments` or `question.schema` are left out',
                },
                links: { type: 'object' },
              },
              required: ['run', 'pipeline', 'nonce', 'stage', 'path', 'subject', 'since', 'until', 'otherwise'],
            },
          },
          unknown: { type: 'array', items: { type: 'string' } },
          nextCursor: { type: 'string', description: 'Cursor of the next page; absent on the last one' },
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
