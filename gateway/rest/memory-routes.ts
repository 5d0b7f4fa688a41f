import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { MillraceError } from '../../pipelines/errors.js';
import { invalidField } from '../../pipelines/invalid-fields.js';
import { sessionsOf } from '../../runs/caller.js';
import type { FactsName } from '../../stores/sessions/index.js';
import { type Caller, callerOf } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import type { RouteDoc } from '../openapi/route-doc.js';
import { json, schemaOf } from '../openapi/schemas.js';
import { pipelineFor } from './pipeline-routes.js';

/** As in the input of an agent. */
const LONGEST_NAME = 200;

const remembered = z.object({
  facts: z.array(z.object({ id: z.int(), text: z.string(), at: z.iso.datetime() })).describe('Oldest first'),
});

const PATH = {
  name: { description: 'The pipeline’s name' },
  user: { description: 'The user’s name, as in the agent’s input' },
};

const LIST: RouteDoc = {
  tag: 'pipelines',
  operation: 'listFacts',
  summary: 'List what the agents of a pipeline remember of a user of the caller',
  path: PATH,
  answers: {
    200: { description: 'The facts; an empty list for an unknown user', content: json(schemaOf(remembered)) },
  },
  problems: ['PIPELINE_NOT_FOUND', 'INVALID_INPUT', 'STORE_UNAVAILABLE'],
};
const ERASE: RouteDoc = {
  tag: 'pipelines',
  operation: 'eraseFacts',
  summary: 'Erase all that the agents of a pipeline remember of a user of the caller',
  description:
    'Runs in progress keep what they read when they started, and may store further facts. The documents of earlier runs keep the texts that were said in them.',
  path: PATH,
  answers: { 204: { description: 'All facts about the user are erased' } },
  problems: ['PIPELINE_NOT_FOUND', 'INVALID_INPUT', 'STORE_UNAVAILABLE'],
};
const FORGET: RouteDoc = {
  tag: 'pipelines',
  operation: 'eraseFact',
  summary: 'Erase one fact that the agents of a pipeline remember of a user of the caller',
  path: { ...PATH, fact: { description: 'Number of the fact' } },
  answers: { 204: { description: 'The fact is erased, or did not exist' } },
  problems: ['PIPELINE_NOT_FOUND', 'INVALID_INPUT', 'STORE_UNAVAILABLE'],
};

interface Named {
  readonly name: string;
  readonly user: string;
}

/** `GET` and `DELETE /v1/pipelines/{name}/memory/{user}`, `DELETE /v1/pipelines/{name}/memory/{user}/{fact}`. */
export async function memoryRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  const path = '/v1/pipelines/:name/memory/:user';
  app.get<{ Params: Named }>(path, { config: { doc: LIST } }, async (request) => {
    const of = nameOf(request.params, callerOf(request));
    const facts = await store().list(of);
    return { facts: facts.map(({ id, text, at }) => ({ id, text, at: new Date(at).toISOString() })) };
  });
  app.delete<{ Params: Named }>(path, { config: { doc: ERASE } }, async (request, reply) => {
    await store().erase(nameOf(request.params, callerOf(request)));
    return await reply.code(204).send();
  });
  app.delete<{ Params: Named & { fact: string } }>(
    `${path}/:fact`,
    { config: { doc: FORGET } },
    async (request, reply) => {
      const { fact } = request.params;
      const name = nameOf(request.params, callerOf(request));
      if (!/^[1-9][0-9]{0,14}$/.test(fact)) throw invalidField('fact', 'must be the number of a fact');
      await store().remove(name, Number(fact));
      return await reply.code(204).send();
    },
  );

  function store(): NonNullable<GatewayDeps['facts']> {
    if (deps.facts) return deps.facts;
    throw new MillraceError('STORE_UNAVAILABLE', 'this gateway has no store of memory');
  }

  function nameOf({ name, user }: Named, caller: Caller): FactsName {
    const of = sessionsOf(pipelineFor(name, deps, caller).name, caller);
    if (user.length > LONGEST_NAME) {
      const message = `must be at most ${LONGEST_NAME} characters`;
      throw invalidField('user', message);
    }
    return { tenant: caller.tenant, of, user };
  }
}
