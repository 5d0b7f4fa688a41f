import multipart from '@fastify/multipart';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Pipeline } from '../../pipelines/definition/index.js';
import { didYouMean } from '../../pipelines/did-you-mean.js';
import { MillraceError } from '../../pipelines/errors.js';
import { mayUse } from '../../runs/caller.js';
import { cancelLeft } from '../../runs/cancel.js';
import { runPath, withoutPlace } from '../../runs/document.js';
import { failureOf } from '../../runs/failed.js';
import { launch, launchFollowed } from '../../runs/launch.js';
import { endsWithCaller } from '../../runs/leaving.js';
import { type RunOptions, runOptionsOf } from '../../runs/options.js';
import { readPaced } from '../../runs/paced-runs.js';
import { orderInput } from '../../runs/sent-input.js';
import type { StartedRun } from '../../runs/start.js';
import { webhookTargets } from '../../runs/webhooks/targets.js';
import { type Caller, callerOf, holds, idempotencyKeyOf, invalidHeader } from '../access/caller.js';
import { type Persistence, persistenceOf } from '../access/retries.js';
import type { GatewayDeps, GatewayLimits } from '../deps.js';
import { documentTurns, JSON_TYPE, sharedJson } from '../http/document-turns.js';
import { takeJson } from '../http/json-body.js';
import { leaving } from '../http/leaving.js';
import { refuseEncoded } from '../input/content-encoding.js';
import { senderOf } from '../input/held-bodies.js';
import { type InputForm, inputForm } from '../input/input-form.js';
import { readInput, STREAMED } from '../input/read-input.js';
import { type AudioForm, audioFormOf } from './audio-events.js';
import { sendEvents } from './event-routes.js';
import { type Preference, parsePrefer } from './prefer.js';
import { GET_RUN, START_RUN } from './run-docs.js';

/** Properties of a start request that are known before its body is read. */
interface StartRequest {
  readonly pipeline: Pipeline;
  readonly form: InputForm;
  readonly caller: Caller;
  readonly preference: Preference;
  readonly idempotencyKey: string | undefined;
  readonly options: RunOptions;
  readonly audio: AudioForm;
  readonly persistence: Persistence;
}

/** Content types of bodies that are a bare media file. */
const A_FILE = /^((audio|image)\/|application\/octet-stream)/;

type NamedPipeline = { Params: { name: string } };

/** `POST /v1/pipelines/{name}/runs` and `GET /v1/runs/{id}`. */
export async function runRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  const forms = new Map(deps.pipelines.map((pipeline) => [pipeline.name, { pipeline, form: inputForm(pipeline) }]));
  const orders = new WeakMap<FastifyRequest, StartRequest>();

  takeJson(app, { exact: true });
  await app.register(multipart);
  app.addContentTypeParser(A_FILE, (_request, _body, done) => done(null, STREAMED));

  app.post<NamedPipeline>('/v1/pipelines/:name/runs', {
    bodyLimit: deps.limits.maxJsonBytes,
    config: { doc: START_RUN },
    // Checks that do not need the body run before it is read.
    onRequest: async (request) => {
      const found = forms.get(request.params.name);
      const caller = callerOf(request);
      if (found === undefined || !mayUse(caller, found.pipeline)) {
        throw pipelineNotFound(request.params.name, deps, caller);
      }
      const { headers } = request;
      const preference = parsePrefer(headers.prefer as string | undefined, deps.limits.maxWaitMs);
      const audio = audioFormOf(request.query);
      const options = runOptionsOf(audio.others, found.pipeline.plan);
      const { tenant } = caller;
      webhookTargets(deps.webhooks, { tenant, pipeline: found.pipeline.name, webhook: options.webhook });
      orders.set(request, {
        ...found,
        caller,
        preference,
        idempotencyKey: idempotencyKeyOf(headers),
        options,
        audio: audio.form,
        persistence: persistenceOf(headers),
      });
      refuseTooLong(request, found.form, deps.limits);
    },
    handler: async (request, reply) => {
      const { pipeline, form, caller, preference, idempotencyKey, options, persistence, audio } = orders.get(
        request,
      ) as StartRequest;
      const by = { pipeline, caller, idempotencyKey, ...persistence, options };
      const { artifacts, limits } = deps;
      const left = leaving(reply);
      const input = orderInput(await readInput(request, form, senderOf(request, left), artifacts, limits), by);
      // A client that is given the run's id at once needs no retry of the whole request.
      const waits = preference.waitMs > 0 || acceptsEvents(request);
      const order = { ...(waits && { retry: 0 }), ...by, ...input };
      if (acceptsEvents(request)) {
        const gone = new AbortController();
        const { run, events } = await launchFollowed(deps, order, gone.signal, left);
        note(request, reply, run);
        reply.header('location', runPath(run.id));
        const leave = () => {
          // Of a gateway that shuts down the client comes back, to another one.
          if (!app.closing.aborted) void cancelLeft(deps, { id: run.id, tenant: caller.tenant });
        };
        if (endsWithCaller(order)) {
          left.addEventListener('abort', leave, { once: true });
          if (left.aborted) leave();
        }
        await sendEvents(reply, events, { gone, form: audio, caller, artifacts: deps.artifacts });
        // The end of the response, which an error of Temporal's may be, is no leaving.
        left.removeEventListener('abort', leave);
        return reply;
      }
      const { run, document } = await launch(deps, order, {
        waitMs: preference.waitMs,
        gone: left,
        started: (run) => note(request, reply, run),
      });
      if (left.aborted && document.status === 'running' && endsWithCaller(order))
        await cancelLeft(deps, { id: run.id, tenant: caller.tenant });
      if (preference.applied !== undefined) reply.header('preference-applied', preference.applied);
      const shown = holds(caller, 'read') ? document : withoutPlace(document);
      // All who wait for the same run get it at the same moment.
      const body = await documentTurns.in(caller.tenant, () => {
        if (shown.status !== 'running' && shown.status !== 'succeeded') throw failureOf(shown);
        return sharedJson(shown);
      });
      if (shown.status === 'running') reply.code(202).header('location', runPath(run.id));
      return await reply.type(JSON_TYPE).send(body);
    },
  });

  app.get<{ Params: { id: string } }>('/v1/runs/:id', { config: { doc: GET_RUN } }, async (request, reply) => {
    const { id } = request.params;
    request.notes.runId = id;
    return (await readPaced(deps, id, callerOf(request), { signal: leaving(reply) })).document;
  });
}

/** Only pipelines that the caller may use are suggested. */
export const pipelineNotFound = (
  name: string,
  { pipelines }: Pick<GatewayDeps, 'pipelines'>,
  caller: Caller,
): MillraceError => {
  const usable = pipelines.filter((each) => mayUse(caller, each)).map((each) => each.name);
  const message = `no pipeline is named "${name}"; GET /v1/pipelines lists them${didYouMean(name, usable)}`;
  return new MillraceError('PIPELINE_NOT_FOUND', message, { fields: [{ field: 'pipeline', message }] });
};

/** Whether the caller accepts `text/event-stream`; wildcards get a document. */
const acceptsEvents = ({ headers: { accept = '' } }: FastifyRequest): boolean => /\btext\/event-stream\b/.test(accept);

function note(request: FastifyRequest, reply: FastifyReply, { id, replayed }: StartedRun): void {
  request.notes.runId = id;
  reply.header('millrace-run', id);
  if (replayed) reply.header('idempotency-replayed', 'true');
}

/** Rejects a body by its announced length; without one it is counted as it arrives. */
function refuseTooLong(request: FastifyRequest, form: InputForm, limits: GatewayLimits): void {
  refuseEncoded(request.headers);
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
