import type { FastifyInstance } from 'fastify';
import type { Pipeline } from '../pipelines/definition/index.js';
import { callerOf, mayUse } from './access/caller.js';
import type { GatewayDeps } from './deps.js';
import { pipelineNotFound } from './runs/run-routes.js';

/** `GET /v1/pipelines` and `/v1/pipelines/{name}`: what the caller can run, with JSON Schemas (2020-12) of input and output. */
export async function pipelineRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  app.get('/v1/pipelines', async (request) => {
    const caller = callerOf(request);
    return { pipelines: deps.pipelines.filter((pipeline) => mayUse(caller, pipeline)).map(describe) };
  });
  app.get<{ Params: { name: string } }>('/v1/pipelines/:name', async (request) => {
    const pipeline = deps.pipelines.find(({ name }) => name === request.params.name);
    if (pipeline === undefined || !mayUse(callerOf(request), pipeline)) throw pipelineNotFound(request.params.name);
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
