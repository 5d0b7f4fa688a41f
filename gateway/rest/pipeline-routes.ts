import type { FastifyInstance } from 'fastify';
import type { Pipeline } from '../../pipelines/definition/index.js';
import { mayUse } from '../../runs/caller.js';
import { callerOf } from '../access/caller.js';
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

/**
 * `GET /v1/pipelines` and `/v1/pipelines/{name}`: the pipelines that the caller may run, with JSON Schemas (2020-12) of
 * input and output.
 */
export async function pipelineRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  app.get('/v1/pipelines', { config: { doc: LIST } }, async (request) => {
    const caller = callerOf(request);
    return { pipelines: deps.pipelines.filter((pipeline) => mayUse(caller, pipeline)).map(describe) };
  });
  app.get<{ Params: { name: string } }>('/v1/pipelines/:name', { config: { doc: ONE } }, async (request) => {
    const caller = callerOf(request);
    const pipeline = deps.pipelines.find(({ name }) => name === request.params.name);
    if (pipeline === undefined || !mayUse(caller, pipeline)) {
      throw pipelineNotFound(request.params.name, deps, caller);
    }
    return describe(pipeline);
  });
}

const describe = ({ name, description, plan, inputSchema, outputSchema }: Pipeline) => ({
  name,
  version: plan.version,
  description,
  input: inputSchema,
  output: outputSchema,
});
