import type { FastifyInstance, FastifyRequest } from 'fastify';
import { MillraceError } from '../../pipelines/errors.js';
import { callerOf, idempotencyKeyOf } from '../access/caller.js';
import { persistenceOf } from '../access/retries.js';
import { leaving } from '../http/leaving.js';
import { headersOf } from '../http/problem.js';
import { MOST_INPUT_BYTES } from '../input/body-budget.js';
import { refuseEncoded } from '../input/content-encoding.js';
import { readBody } from '../input/held-bodies.js';
import { emptyBody, swallowRest } from '../input/upload.js';
import { answerParameters, modelConfig, modelMetadata, repositoryIndex, serverMetadata } from './describe.js';
import { ALL_STATISTICS, INDEX, LIVE, modelDocs, READY, SERVER, statusOf } from './docs.js';
import { type Door, publicError } from './door.js';
import { MODEL_VERSION, type ServedModel } from './models.js';
import { JSON_LENGTH_HEADER, readRequest, writeAnswer } from './rest-body.js';

/** Probes send no key. */
const open = true;

/** Longest message of an error, in UTF-16 units: it may quote a name of the request. */
const LONGEST_MESSAGE = 4_000;

type OfModel = { Params: { name: string; version?: string } };

/**
 * The inference protocol over HTTP, with every pipeline as a model: `/v2`, `/v2/health/live|ready`, `/v2/models/{name}`
 * with `/ready`, `/config`, `/stats` and `/infer`, each also under `/versions/{version}`, and `/v2/repository/index`.
 */
export async function restRoutes(app: FastifyInstance, door: Door, release: string): Promise<void> {
  const { deps } = door;
  app.removeAllContentTypeParsers();
  // The protocol's clients send no content type, or application/octet-stream for JSON with binary data.
  app.addContentTypeParser('*', readBody);
  app.setErrorHandler((error, request, reply) => {
    const { code, message } = publicError(error, request.id);
    Object.assign(request.notes, { code, error });
    swallowRest(request.raw, reply);
    const known = error instanceof MillraceError ? headersOf(error, request.hint) : {};
    reply.removeHeader('content-length').code(statusOf(code));
    return reply.headers(known).send({ error: message.slice(0, LONGEST_MESSAGE), code });
  });

  app.get('/v2', { config: { doc: SERVER } }, async () => {
    return serverMetadata(release);
  });
  app.get('/v2/health/live', { config: { open, doc: LIVE } }, async () => ({ live: true }));
  app.get('/v2/health/ready', { config: { open, doc: READY } }, async (_, reply) => {
    const ready = (await deps.ready.now()).status !== 'unavailable';
    return await reply.code(ready ? 200 : 503).send({ ready });
  });
  app.post('/v2/repository/index', { config: { permission: 'read', doc: INDEX } }, async (request) =>
    repositoryIndex(door.all(callerOf(request))),
  );
  app.get('/v2/models/stats', { config: { doc: ALL_STATISTICS } }, async (request) => {
    const caller = callerOf(request);
    return { model_stats: door.statisticsOf(caller, door.all(caller)) };
  });

  const model = (request: FastifyRequest<OfModel>): ServedModel => {
    const { name, version } = request.params;
    return door.model(callerOf(request), name, version);
  };
  for (const base of ['/v2/models/:name', '/v2/models/:name/versions/:version']) {
    const docs = modelDocs(base.endsWith(':version'));
    app.get<OfModel>(base, { config: { doc: docs.metadata } }, async (request) => modelMetadata(model(request)));
    app.get<OfModel>(`${base}/config`, { config: { doc: docs.config } }, async (request) =>
      modelConfig(model(request)),
    );
    app.get<OfModel>(`${base}/stats`, { config: { doc: docs.statistics } }, async (request) => ({
      model_stats: door.statisticsOf(callerOf(request), [model(request)]),
    }));
    app.get<OfModel>(`${base}/ready`, { config: { doc: docs.ready } }, async (request, reply) => {
      const { name } = model(request).pipeline;
      const ready = (await deps.ready.now()).status !== 'unavailable';
      return await reply.code(ready ? 200 : 503).send({ name, ready });
    });
    app.post<OfModel>(
      `${base}/infer`,
      {
        config: { doc: docs.infer },
        bodyLimit: deps.limits.maxAudioBytes + deps.limits.maxJsonBytes,
        // Checks that do not need the body run before it is read.
        onRequest: async (request) => {
          model(request);
          refuseEncoded(request.headers);
        },
      },
      async (request, reply) => {
        const served = model(request);
        const caller = callerOf(request);
        const inference = readRequest(bodyOf(request), request.headers[JSON_LENGTH_HEADER] as string | undefined, {
          maxJsonBytes: deps.limits.maxJsonBytes,
          left: () => request.held.keep(MOST_INPUT_BYTES),
        });
        const { outputs, document } = await door.infer({
          model: served,
          caller,
          held: request.held,
          ...inference,
          idempotencyKey: idempotencyKeyOf(request.headers),
          persistence: persistenceOf(request.headers),
          gone: leaving(reply),
          take: (bytes) => request.response?.take(bytes),
          started: ({ id, replayed }) => {
            request.notes.runId = id;
            if (replayed) reply.header('idempotency-replayed', 'true');
          },
        });
        const { name } = served.pipeline;
        const head = {
          model_name: name,
          model_version: MODEL_VERSION,
          ...(inference.id !== undefined && { id: inference.id }),
          parameters: answerParameters(document),
        };
        const { body, jsonLength } = writeAnswer(head, outputs, inference);
        if (jsonLength === undefined) return await reply.type('application/json').send(body);
        return await reply.type('application/octet-stream').header(JSON_LENGTH_HEADER, jsonLength).send(body);
      },
    );
  }
  // Unsupported extensions: responds in the protocol's error format before the body or its type is checked.
  const absent = async ({ method, url }: FastifyRequest): Promise<never> => {
    throw new MillraceError('ROUTE_NOT_FOUND', `${method} ${url.split('?', 1)[0]} is not served: see GET /v2`);
  };
  app.all('/v2/*', { config: { doc: 'none' }, onRequest: absent }, absent);
}

/** The body, removed from the request to free it early. */
function bodyOf(request: FastifyRequest): Buffer {
  const { body } = request;
  request.body = undefined;
  if (!Buffer.isBuffer(body) || body.length === 0) throw emptyBody();
  return body;
}
