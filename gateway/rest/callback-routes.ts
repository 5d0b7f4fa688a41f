import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { MillraceError } from '../../pipelines/errors.js';
import { CALLBACK_PATH } from '../../stores/callbacks/index.js';
import { CALLBACKS, WrongKeys } from '../access/wrong-keys.js';
import type { GatewayDeps } from '../deps.js';
import { readBody } from '../input/held-bodies.js';
import type { RouteDoc } from '../openapi/route-doc.js';

/** What servers tell is read and not used. */
const MOST_BYTES = 1_024 * 1_024;

const JOB_ENDED: RouteDoc = {
  tag: 'operations',
  operation: 'jobEnded',
  summary: 'Report that a job of a model server has ended',
  description:
    'For model servers: the callback address that was submitted with a job. Whoever has the address may call it. The body is ignored; the worker that waits for the job polls the server at once.',
  path: { token: { description: 'Part of the address' } },
  answers: { 204: { description: 'The worker polls the job' } },
  problems: ['ROUTE_NOT_FOUND', 'STORE_UNAVAILABLE', 'RATE_LIMITED'],
};

/** `POST /v1/callbacks/{token}`: a server has ended a job. */
export async function callbackRoutes(app: FastifyInstance, { callbacks, logger }: GatewayDeps): Promise<void> {
  if (!callbacks) return;
  const unknown = new WrongKeys(logger, CALLBACKS);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', async (request: FastifyRequest, payload: IncomingMessage) => {
    await readBody(request, payload);
    return null;
  });
  app.post<{ Params: { token: string } }>(
    `${CALLBACK_PATH}/:token`,
    {
      bodyLimit: MOST_BYTES,
      // The token in the address stands for a key.
      config: { open: true, doc: JOB_ENDED },
      // Before anything of the body is read.
      onRequest: async (request) => {
        if (await callbacks.arrive(request.params.token)) return;
        await unknown.count(request.ip).catch((error: unknown) => {
          request.notes.quiet = true;
          throw error;
        });
        throw new MillraceError('ROUTE_NOT_FOUND', 'no job waits for a call to this address');
      },
    },
    async (_, reply) => reply.code(204).send(),
  );
}
