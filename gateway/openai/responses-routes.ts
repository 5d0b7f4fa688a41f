import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { MillraceError } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { jsonHash } from '../../pipelines/plan/hash.js';
import { allSteps, isStage, type Plan } from '../../pipelines/plan/index.js';
import { launch } from '../../runs/launch.js';
import type { Order } from '../../runs/order.js';
import { runId } from '../../runs/prepare.js';
import { orderInput } from '../../runs/sent-input.js';
import type { StartedRun } from '../../runs/start.js';
import { callerOf, idempotencyKeyOf } from '../access/caller.js';
import { persistenceOf } from '../access/retries.js';
import type { GatewayDeps } from '../deps.js';
import { takeJson } from '../http/json-body.js';
import { leaving } from '../http/leaving.js';
import { forgetBody, senderOf } from '../input/held-bodies.js';
import { answerFields } from './chat-reply.js';
import { inputOf, type Turn } from './conversation.js';
import type { Again, Conversations } from './conversations.js';
import { RESPOND } from './docs.js';
import { errorBody, invalidParam } from './error-body.js';
import { opensAs, sendAsEvents } from './event-answer.js';
import { givesLogprobs } from './logprobs.js';
import { interactive, note, runStreamed, runToEnd } from './model-run.js';
import { asksFor, type Model, type Models, onlyOutputs } from './models.js';
import type { Item } from './responses-items.js';
import { notesOfRequest } from './responses-notes.js';
import { answerTo, responseId, responseOf, unansweredOf } from './responses-reply.js';
import { type ResponsesRequest, readResponsesRequest } from './responses-request.js';
import { asEvent, responseEvents } from './responses-stream.js';
import { turnsOf } from './responses-turns.js';
import { ResponseWriter } from './responses-writer.js';
import type { ReasoningSeals } from './sealed-reasoning.js';
import type { StoredResponses } from './stored-responses.js';

/** What the routes of responses share. */
export interface ResponsesDoor {
  readonly deps: GatewayDeps;
  readonly models: Models;
  readonly responses: StoredResponses;
  readonly seals: ReasoningSeals;
  readonly conversations: Conversations;
}

/** `POST /v1/responses`: as JSON, as server-sent events, or in the background. */
export function responsesRoutes(app: FastifyInstance, door: ResponsesDoor): void {
  const { deps, seals } = door;
  takeJson(app);
  const options = { bodyLimit: deps.limits.maxJsonBytes, config: { doc: RESPOND } };
  app.post('/v1/responses', options, async (request, reply) => {
    const wanted = await request.held.during(() => ordered(door, request, leaving(reply)));
    const { model, order, started, echo, stream } = wanted;
    const exchange = { deps, request, reply, started };
    const seal = echo.sealed_reasoning && (await seals.of(callerOf(request).tenant)).seal;
    const of = (run: string, createdAt: string) => ({ run, createdAt, model, echo, seal });
    if (stream) {
      const { run, pieces } = await runStreamed(exchange, order, model);
      const own = of(run.id, run.memo.createdAt);
      const writer = new ResponseWriter(own);
      const events = responseEvents({ writer, of: own, deferred: opensAs(order) === 'usual' }, pieces);
      const failed = (error: MillraceError) => [...writer.failed(errorBody(error, request))].map(asEvent);
      await sendAsEvents(reply, mapped(events, asEvent), failed, opensAs(order));
      return reply;
    }
    if (echo.background) return await inBackground(exchange, order, of);
    const document = await runToEnd(exchange, order);
    const own = of(document.id, document.createdAt);
    return responseOf(own, answerTo(own, document));
  });
}

/** What a request wants. Nothing else of its body is left; a conversation gets its items when the run has started, and holds them until then. */
async function ordered(door: ResponsesDoor, request: FastifyRequest, gone: AbortSignal) {
  const asked = readResponsesRequest(request.body as Json);
  const model = door.models.get('chat', asked.model, callerOf(request));
  const wanted = withoutIgnored(asked, model);
  const { order, started } = await orderFor(door, { request, gone }, wanted, model);
  const { echo, stream } = wanted;
  if (!echo.conversation) forgetBody(request);
  return { model, order, started, echo, stream };
}

/** The request without the probabilities of tokens where the pipeline's author has them ignored. Throws as `givesLogprobs`. */
function withoutIgnored(wanted: ResponsesRequest, model: Model): ResponsesRequest {
  if (givesLogprobs(model, { parameters: wanted.parameters, isSpoken: false })) return wanted;
  const { top_logprobs: _, ...echo } = wanted.echo;
  return { ...wanted, echo };
}

/** Whether a conversation that is too long for a model is shortened. */
const shortens = (plan: Plan): boolean =>
  [...allSteps(plan)].some(
    (step) =>
      isStage(step) &&
      (step.kind === 'agent'
        ? step.with.context !== undefined
        : step.kind === 'chat' && step.with.onOverflow !== undefined),
  );

interface Exchange {
  readonly deps: GatewayDeps;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly started: (run: StartedRun) => Promise<void>;
}

/** Starts the run and responds at once; its end is fetched later. */
async function inBackground(
  { deps, request, reply, started }: Exchange,
  order: Order,
  of: (run: string, createdAt: string) => Parameters<typeof unansweredOf>[0],
) {
  const { run } = await launch(deps, interactive(order), { waitMs: 0, gone: leaving(reply) });
  note(request, reply, run);
  await started(run);
  return unansweredOf(of(run.id, run.memo.createdAt), 'queued');
}

/** Not where it is used: a function that is made there holds the items of the request. */
const NOTHING_TO_ADD = async (_: StartedRun): Promise<void> => undefined;

/** The order of a request with the turns before it, and what is to be done once its run has started. */
async function orderFor(
  { deps, responses, conversations }: ResponsesDoor,
  { request, gone }: { readonly request: FastifyRequest; readonly gone: AbortSignal },
  wanted: ResponsesRequest,
  model: Model,
): Promise<{ readonly order: Order; readonly started: (run: StartedRun) => Promise<void> }> {
  const caller = callerOf(request);
  const idempotencyKey = idempotencyKeyOf(request.headers);
  const persistence = persistenceOf(request.headers);
  const { echo, parameters } = wanted;
  if (echo.truncation === 'auto' && !shortens(model.pipeline.plan)) {
    const name = `"${model.pipeline.name}"`;
    throw invalidParam(
      'truncation',
      `${name} rejects a conversation that is too long; "auto" needs onOverflow or an agent`,
    );
  }
  const items = await responses.resolved(wanted.items, caller);
  const own = turnsOf(items, (i) => `input[${i}]`);
  const { instructions, background, previous_response_id: previous } = echo;
  const system: Turn[] = instructions
    ? [{ param: 'instructions', message: { role: 'system', content: instructions } }]
    : [];
  let before: readonly Turn[] = [];
  let fields: JsonObject = {};
  let started = NOTHING_TO_ADD;
  if (previous) before = await responses.turnsUpTo(previous, caller, 'previous_response_id');
  if (echo.conversation) {
    const conversation = await conversations.find(echo.conversation.id, caller, { adds: true });
    const of = jsonHash({ pipeline: model.pipeline.name, items: items as unknown as Json });
    const again = againOf({ pipeline: model.pipeline, caller, idempotencyKey, ...persistence }, of);
    const { turns, since } = await conversations.before(conversation, caller, again);
    // An agent with sessions keeps the conversation itself.
    const ofAgent = model.form.fields.has('session');
    before = ofAgent ? since : turns;
    if (ofAgent) fields = { session: conversation.id };
    const { name: pipeline } = model.pipeline;
    started = onceStarted(request, ({ id }) =>
      conversations.addResponse(conversation, caller, {
        response: responseId(id),
        of,
        pipeline,
        items: items as Item[],
      }),
    );
  }
  const conversation = { about: 'input', turns: [...system, ...before, ...own], parameters, fields };
  const by = {
    pipeline: model.pipeline,
    idempotencyKey,
    ...persistence,
    ...(background && { onLeave: 'continue' as const }),
  };
  const order: Order = {
    retry: 0,
    ...by,
    caller,
    ...orderInput(await inputOf(model, conversation, deps, senderOf(request, gone)), by),
    options: onlyOutputs(model, answerFields(model)),
    asks: asksFor(model, answerFields(model)),
    notes: notesOfRequest(echo),
  };
  return { order, started };
}

/** What tells the entry of a request in its conversation, if it may have been sent before. */
function againOf({ pipeline, caller, idempotencyKey, retry = 0 }: Omit<Order, 'input'>, of: string): Again | undefined {
  const { tenant } = caller;
  if (idempotencyKey !== undefined) return { response: responseId(runId({ pipeline, tenant, idempotencyKey })) };
  return retry > 0 ? { of } : undefined;
}

/**
 * Does the work when the run has started; nothing of the body is left then. Whoever waits for the run holds what is returned, which holds the
 * work, and with it the items of the request, until it is done.
 */
function onceStarted(request: FastifyRequest, work: (run: StartedRun) => Promise<void>) {
  let left: typeof work | undefined = work;
  return async (run: StartedRun): Promise<void> => {
    const own = left;
    left = undefined;
    await own?.(run);
    forgetBody(request);
  };
}

async function* mapped<A, B>(all: AsyncIterable<A>, to: (one: A) => B): AsyncGenerator<B> {
  for await (const one of all) yield to(one);
}
