import { PERSISTENCE_HEADERS } from '../openapi/persistence-doc.js';
import { OF_WAITED_RUNS } from '../openapi/problems.js';
import { eventStream, type RouteDoc, type Schema } from '../openapi/route-doc.js';
import { json } from '../openapi/schemas.js';

const text: Schema = { type: 'string' };
const list: Schema = { type: 'array', items: { type: 'object' } };

export const RUN_AGENT: RouteDoc = {
  tag: 'agui',
  operation: 'runAgent',
  summary: 'Run a pipeline as an agent of AG-UI',
  path: { pipeline: { description: 'The pipeline’s name' } },
  headers: PERSISTENCE_HEADERS,
  body: {
    required: true,
    content: json({
      type: 'object',
      description: 'RunAgentInput of AG-UI 1.0',
      properties: { threadId: text, runId: text, messages: list, tools: list, context: list, resume: list },
      required: ['threadId', 'runId', 'messages'],
    }),
  },
  answers: {
    200: {
      description: 'The run',
      content: eventStream('AG-UI’s events as `data`: `RUN_STARTED` … `RUN_FINISHED` or `RUN_ERROR`'),
    },
  },
  problems: [...OF_WAITED_RUNS, 'PIPELINE_NOT_FOUND'],
};
