import multipart from '@fastify/multipart';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Pipeline } from '../../pipelines/definition/index.js';
import { isErrorCode, MillraceError } from '../../pipelines/errors.js';
import { idempotencyKeyOf, invalidHeader, tenantOf } from '../access/caller.js';
import type { GatewayDeps, GatewayLimits } from '../deps.js';
import { RunFailedError } from '../http/problem.js';
import { type InputForm, inputForm } from '../input/input-form.js';
import { parseJson } from '../input/multipart-input.js';
import { readInput, STREAMED } from '../input/read-input.js';
import { emptyBody } from '../input/upload.js';
import { type Preference, parsePrefer } from './prefer.js';
import { type RunDocument, runPath } from './run-document.js';
import { type RunOptions, runOptionsOf } from './run-options.js';
import { documentOfAnswered, documentOfStarted, readRun, waitForRun } from './run-read.js';
import { runId, type StartedRun, startRun } from './run-start.js';

/** What is known of a request for a run before its body is read. */
interface Order {
  readonly pipeline: Pipeline;
  readonly form: InputForm;
  readonly tenant: string;
  readonly preference: Preference;
  readonly idempotencyKey: string | undefined;
  readonly options: RunOptions;
}

/** Content types of a body that is a media file itself. */
const A_FILE = /^((audio|image)\/|application\/octet-stream)/;

type NamedPipeline = { Params: { name: string } };

/** `POST /v1/pipelines/{name}/runs` and `GET /v1/runs/{id}`. */
export async function runRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  const forms = new Map(deps.pipelines.map((pipeline) => [pipeline.name, { pipeline, form: inputForm(pipeline) }]));
  const orders = new WeakMap<FastifyRequest, Order>();

  app.removeAllContentTypeParsers();
  await app.register(multipart);
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_, body, done) => {
    try {
      if (body === '') throw emptyBody();
      done(null, parseJson(body as string, 'body'));
    } catch (error) {
      done(error as Error);
    }
  });
  app.addContentTypeParser(A_FILE, (_request, _body, done) => done(null, STREAMED));

  app.post<NamedPipeline>('/v1/pipelines/:name/runs', {
    bodyLimit: deps.limits.maxJsonBytes,
    // Everything that can be refused without the body is refused before it is read.
    onRequest: async (request) => {
      const found = forms.get(request.params.name);
      if (found === undefined) throw pipelineNotFound(request.params.name);
      const { headers } = request;
      const tenant = tenantOf(headers);
      request.notes.tenant = tenant;
      const preference = parsePrefer(headers.prefer as string | undefined, deps.limits.maxWaitMs);
      const options = runOptionsOf(request.query, found.pipeline.plan);
      orders.set(request, { ...found, tenant, preference, idempotencyKey: idempotencyKeyOf(headers), options });
      refuseTooLong(request, found.form, deps.limits);
    },
    handler: async (request, reply) => {
      const { pipeline, form, tenant, preference, idempotencyKey, options } = orders.get(request) as Order;
      const input = await readInput(request, form, tenant, deps.artifacts, deps.limits);
      const id = runId({ pipeline, tenant, idempotencyKey });
      const answered = new AbortController();
      const waits = preference.waitMs > 0 ? deps.answers : undefined;
      // Before the run starts: it may be answered before Temporal has told us that it has started.
      const early = waits ? [waits.expect(id, answered.signal)] : [];
      const order = { id, pipeline, tenant, input, idempotencyKey, options, answerTo: waits?.channel };
      const run = await startRun(deps, order).catch((error: unknown) => {
        answered.abort();
        throw error;
      });
      request.notes.runId = run.id;
      if (run.replayed) reply.header('idempotency-replayed', 'true');
      if (preference.applied !== undefined) reply.header('preference-applied', preference.applied);
      const waiting = AbortSignal.any([leaving(reply), answered.signal]);
      const ended = settle(deps, run, input, preference.waitMs, waiting);
      const documents = early.map(async (answer) => documentOfAnswered(deps, run, input, await answer));
      const document = await Promise.race([ended, ...documents]).finally(() => answered.abort());
      if (document.status === 'running')
        return await reply.code(202).header('location', runPath(run.id)).send(document);
      if (document.status === 'succeeded') return document;
      throw failed(document);
    },
  });

  app.get<{ Params: { id: string } }>('/v1/runs/:id', async (request) => {
    request.notes.runId = request.params.id;
    const tenant = tenantOf(request.headers);
    request.notes.tenant = tenant;
    return (await readRun(deps, request.params.id, tenant)).document;
  });
}

export const pipelineNotFound = (name: string): MillraceError => {
  const message = `no pipeline is named "${name}"; GET /v1/pipelines lists them`;
  return new MillraceError('PIPELINE_NOT_FOUND', message, { fields: [{ field: 'pipeline', message }] });
};

/** The run as it is when it has ended or the wait is over. */
async function settle(
  deps: GatewayDeps,
  run: StartedRun,
  input: RunDocument['input'] & object,
  waitMs: number,
  gone: AbortSignal,
): Promise<RunDocument> {
  const ended = await waitForRun(deps, run.id, waitMs, gone);
  if (!run.replayed && (waitMs === 0 || gone.aborted)) return documentOfStarted(deps, run, input);
  try {
    return (await readRun(deps, run.id, run.memo.tenant)).document;
  } catch (error) {
    // The run exists: its id must reach the caller, whatever Temporal does now.
    deps.logger.warn({ runId: run.id, err: error }, 'a started run cannot be read');
    const document = documentOfStarted(deps, run, input);
    return ended ? { ...document, ...ended } : document;
  }
}

function failed(run: RunDocument): RunFailedError {
  const code = isErrorCode(run.error?.code) ? run.error.code : 'RUN_FAILED';
  return new RunFailedError(code, run.error?.message ?? 'the run failed', run);
}

/** Aborted when the client leaves before its answer. The run goes on. */
function leaving(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  if (reply.raw.destroyed) controller.abort();
  reply.raw.once('close', () => controller.abort());
  return controller.signal;
}

/** Refuses a body by its announced length; what announces none is counted as it arrives. */
function refuseTooLong(request: FastifyRequest, form: InputForm, limits: GatewayLimits): void {
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    const message = `"${encoding}" is not supported; send the body as it is`;
    throw new MillraceError('UNSUPPORTED_CONTENT_TYPE', `Content-Encoding ${message}`, {
      fields: [{ field: 'Content-Encoding', message }],
    });
  }
  const length = Number(request.headers['content-length'] ?? 0);
  if (!Number.isFinite(length)) throw invalidHeader('Content-Length', 'must be a number of bytes');
  const isFile = A_FILE.test(request.headers['content-type'] ?? '');
  const [field] = form.media;
  const most = isFile ? limits.maxAudioBytes : form.mostFiles * limits.maxAudioBytes + limits.maxJsonBytes;
  if (length <= most) return;
  const message = `the body has ${length} bytes; the limit is ${isFile ? `${most} bytes for a file` : most}`;
  const named = form.media.size === 1 && field !== undefined ? field : 'body';
  throw new MillraceError('BODY_TOO_LARGE', message, { fields: [{ field: named, message }] });
}
