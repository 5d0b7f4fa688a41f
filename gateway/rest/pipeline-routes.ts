import type { FastifyInstance } from 'fastify';
import type { Pipeline } from '../../pipelines/definition/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import { mayUse, sessionsOf } from '../../runs/caller.js';
import { type Caller, callerOf } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import type { RouteDoc } from '../openapi/route-doc.js';
import { component, json } from '../openapi/schemas.js';
import { pipelineNotFound } from './run-routes.js';

const LIST: RouteDoc = {
  tag: 'pipelines',
  operation: 'listPipelines',
  summary: 'List the pipelines that the caller may run',
  answers: {
    200: {
      description: 'The pipelines with the JSON Schemas of their inputs and outputs',
      content: json({
        type: 'object',
        properties: { pipelines: { type: 'array', items: component('Pipeline') } },
        required: ['pipelines'],
      }),
    },
  },
};
const ONE: RouteDoc = {
  tag: 'pipelines',
  operation: 'getPipeline',
  summary: 'Get a pipeline',
  path: { name: { description: 'The pipeline’s name' } },
  answers: { 200: { description: 'The pipeline', content: json(component('Pipeline')) } },
  problems: ['PIPELINE_NOT_FOUND'],
};

const ERASE_SESSION: RouteDoc = {
  tag: 'pipelines',
  operation: 'eraseSession',
  summary:
    'Erase a session of the caller: what an agent of the pipeline keeps of a conversation, and approvals given for it',
  description: 'A run of the session that is in progress adds its turn when it ends.',
  path: {
    name: { description: 'The pipeline’s name' },
    session: { description: 'The session’s name, as in the input' },
  },
  answers: { 204: { description: 'The session is erased, or did not exist' } },
  problems: ['PIPELINE_NOT_FOUND', 'STORE_UNAVAILABLE'],
};

/**
 * `DELETE /v1/pipelines/{name}/sessions/{session}`, `GET /v1/pipelines` and `/v1/pipelines/{name}`: the pipelines that the caller may run, with JSON Schemas (2020-12) of
 * input and output.
 */
export async function pipelineRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  app.get('/v1/pipelines', { config: { doc: LIST } }, async (request) => {
    const caller = callerOf(request);
    return { pipelines: deps.pipelines.filter((pipeline) => mayUse(caller, pipeline)).map(describe) };
  });
  app.get<{ Params: { name: string } }>('/v1/pipelines/:name', { config: { doc: ONE } }, async (request) => {
    return describe(pipelineFor(request.params.name, deps, callerOf(request)));
  });
  const path = '/v1/pipelines/:name/sessions/:session';
  app.delete<{ Params: { name: string; session: string } }>(
    path,
    { config: { doc: ERASE_SESSION } },
    async (request, reply) => {
      const caller = callerOf(request);
      const { name, session } = request.params;
      const of = sessionsOf(pipelineFor(name, deps, caller).name, caller);
      if (!deps.sessions) throw new MillraceError('STORE_UNAVAILABLE', 'this gateway has no store of sessions');
      await deps.sessions.erase({ tenant: caller.tenant, of, session });
      return await reply.code(204).send();
    },
  );
}

/** Throws `PIPELINE_NOT_FOUND` for one that the caller may not run too. */
export function pipelineFor(name: string, deps: GatewayDeps, caller: Caller): Pipeline {
  const pipeline = deps.pipelines.find((each) => each.name === name);
  if (pipeline === undefined || !mayUse(caller, pipeline)) throw pipelineNotFound(name, deps, caller);
  return pipeline;
}

const describe = ({ name, description, plan, inputSchema, outputSchema }: Pipeline) => ({
  name,
  version: plan.version,
  description,
  input: inputSchema,
  output: outputSchema,
});
