import { ProtocolError, ProtocolErrorCode, type Result, type ServerContext } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { mayUse, ownerOf } from '../../runs/caller.js';
import { type OrderInput, orderInput } from '../../runs/sent-input.js';
import { IDEMPOTENCY_KEY } from '../access/caller.js';
import { persistenceOf } from '../access/retries.js';
import type { GatewayDeps } from '../deps.js';
import { asMillraceError, problemOf } from '../http/problem.js';
import { expectExactIn } from '../input/exact-numbers.js';
import { senderOf } from '../input/held-bodies.js';
import type { Sender } from '../input/media-intake.js';
import type { Asked, NeedsInput } from '../waiting/follow-call.js';
import { resumeCall, startCall, type Watch } from '../waiting/follow-call.js';
import { formOf, hasForm } from './ask.js';
import { askingId } from './asking-id.js';
import type { ToolCall } from './call.js';
import { answerOf, failed, inputOf } from './call-tool.js';
import { declines, formsOfMissing, inputRequired, withFields } from './missing.js';
import { NumberedMessages, type Told } from './numbered-messages.js';
import { runMessage } from './progress.js';
import { sealed, unsealed } from './request-state.js';
import { canAsk, type Era, mayDecide, type Serving, takesTasks } from './serving.js';
import { oldTask, task } from './task.js';
import { answerWaits, endResult, SHORT_MS, startTask } from './task-handlers.js';

/** Key of the idempotency key in a call's `_meta`: a call repeated with it is the same run. */
const IDEMPOTENCY_META = 'millrace/idempotencyKey';

const params = z.looseObject({
  name: z.string(),
  arguments: z.record(z.string(), z.unknown()).optional(),
  task: z.looseObject({}).optional(),
});

/** How messages are sent to the client of a call. */
export interface Sending {
  /** Sends a request whose response comes with another request of the client. */
  request(id: string, request: { readonly method: string; readonly params: object }): Promise<void>;
}

/** `tools/call` of every version. */
export async function toolsCall(
  serving: Serving,
  era: Era,
  given: unknown,
  context: ServerContext,
  sending: Sending,
): Promise<Result> {
  const parsed = params.safeParse(given);
  if (!parsed.success) {
    const why = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'params'}: ${message}`).join('; ');
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, `the request does not fit its method’s schema: ${why}`);
  }
  const { name, arguments: args = {}, task: wanted } = parsed.data;
  const { caller, base, request, response } = serving;
  const tool = serving.tools.get(name);
  if (tool === undefined || !mayUse(caller, tool.pipeline))
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, `no tool is named "${name}"; tools/list lists them`);
  const call: Call = {
    tool,
    pipeline: tool.pipeline,
    caller,
    base,
    response,
    persistence: persistenceOf(request.headers),
    era,
    context,
    args: args as JsonObject,
    sentBy: (gone) => senderOf(request, gone),
    argumentsRead: () => serving.given.read(args as JsonObject, argumentsIn(given)),
  };
  try {
    expectExactCall(request.body as Json, context.mcpReq.id);
    if (era === 'legacy') return wanted ? await oldTaskOf(serving, call) : await attended(serving, call, sending);
    return await modernCall(serving, call);
  } catch (thrown) {
    if (thrown instanceof ProtocolError) throw thrown;
    const error = asMillraceError(thrown);
    if (error.code !== 'INTERNAL') return failed(error);
    // Its cause is only logged: it may contain paths or hosts.
    Object.assign(request.notes, { code: error.code, error });
    request.log.error({ code: error.code, tool: name, err: error }, 'a tool call failed');
    throw new ProtocolError(ProtocolErrorCode.InternalError, problemOf(error, request).detail, {
      requestId: request.id,
    });
  }
}

/** The arguments as the SDK holds them. */
const argumentsIn = (params: unknown): JsonObject => (params as { readonly arguments?: JsonObject }).arguments ?? {};

/** Throws `INVALID_INPUT` for an integer that a number does not hold: the run would get another one. */
function expectExactCall(body: Json, id: string | number): void {
  const isCall = (message: Json) => isJsonObject(message) && message.id === id;
  const batched = Array.isArray(body) ? [String((body as readonly Json[]).findIndex(isCall))] : [];
  expectExactIn(body, [...batched, 'params', 'arguments']);
  expectExactIn(body, [...batched, 'params'], 'inputResponses');
}

interface Call extends ToolCall {
  readonly era: Era;
  readonly context: ServerContext;
  readonly args: JsonObject;
  /** Whose media they have. */
  sentBy(gone: AbortSignal): Sender;
  /** Must be called once they have been read, before a run is waited for. */
  argumentsRead(): void;
}

/**
 * The input of a call, of whose arguments nothing is left. Throws as `inputOf` does.
 * @param gone aborts when the client cancels the call or disconnects
 */
async function inputOnce(deps: GatewayDeps, call: Call, gone: AbortSignal, args = call.args): Promise<OrderInput> {
  const { pipeline, persistence } = call;
  const checked = await inputOf(deps, call, call.sentBy(gone), args);
  const input = orderInput(checked, { pipeline, ...persistence, ...keyOf(call) });
  call.argumentsRead();
  return input;
}

/** A call of a version with a handshake: waits for the run, and asks the client's user meanwhile. */
async function attended(serving: Serving, call: Call, sending: Sending): Promise<Result> {
  const { deps } = serving;
  const ask = async (run: string, wait: Asked) =>
    sending.request(askingId({ run, nonce: wait.nonce, isContent: hasForm(wait) }), formOf(wait));
  const asks = canAsk(serving, 'legacy', call.context) && mayDecide(serving);
  return await followed(serving, call, asks ? ask : undefined, async (watch) =>
    startCall(deps, call, await inputOnce(deps, call, watch.cancelled), { ...watch, ...keyOf(call) }),
  );
}

/** A call of version 2026-07-28: what it needs is in its result, and its client sends the call again. */
async function modernCall(serving: Serving, call: Call): Promise<Result> {
  const { deps, caller } = serving;
  const { mcpReq } = call.context;
  const asks = canAsk(serving, 'modern', call.context);
  const state = mcpReq.requestState() as unknown;
  if (typeof state === 'string') {
    const place = unsealed(state);
    // Before the call goes on: its client sends the call again where this is refused, while a result would be the last.
    const { signal } = mcpReq;
    const { decided, read } = await answerWaits(deps, { caller, signal }, place.run, mcpReq.inputResponses ?? {});
    call.argumentsRead();
    const onWait = asks && mayDecide(serving) ? 'end' : undefined;
    const resume = (watch: Watch) => resumeCall(deps, call, { ...place, ...(read && { read }) }, { ...watch, decided });
    return await followed(serving, call, onWait, resume, place.after);
  }
  const { input, missing } = await inputOrMissing(deps, call, asks);
  if (missing) return inputRequired(missing);
  if (takesTasks(call.context)) return await taskOf(serving, call, input);
  return await followed(serving, call, asks && mayDecide(serving) ? 'end' : undefined, (watch) =>
    startCall(deps, call, input, { ...watch, ...keyOf(call) }),
  );
}

/** The input of a call, or the forms of what it lacks. */
async function inputOrMissing(deps: GatewayDeps, call: Call, asks: boolean): Promise<InputOrMissing> {
  const { inputResponses = {} } = call.context.mcpReq;
  const forms = asks ? formsOfMissing(call.tool, call.args) : undefined;
  const args = forms ? withFields(inputResponses, forms, call.args) : call.args;
  // All of them again: the client keeps no answers of the rounds before.
  if (forms && !declines(inputResponses, forms) && formsOfMissing(call.tool, args)) return { missing: forms };
  return { input: await inputOnce(deps, call, call.context.mcpReq.signal, args) };
}

type InputOrMissing =
  | { readonly input: OrderInput; readonly missing?: never }
  | { readonly input?: never; readonly missing: NonNullable<ReturnType<typeof formsOfMissing>> };

/**
 * The result of a call, or what it needs.
 * @param after position in the run's events up to which an earlier call has told of them
 */
async function followed(
  serving: Serving,
  call: Call,
  onWait: Watch['onWait'],
  work: (watch: Watch) => ReturnType<typeof startCall>,
  after?: string,
): Promise<Result> {
  const { deps, caller, session, calls, request, closing, reached, read } = serving;
  const { id, signal, notify, _meta } = call.context.mcpReq;
  const open = calls.open({ tenant: caller.tenant, owner: ownerOf(caller), session, id }, signal);
  const progressToken = _meta?.progressToken;
  let run = '';
  const messages = new NumberedMessages({ after, progress: 0 });
  let begun: Promise<void> = Promise.resolve();
  const tell = async (told: Told, message: string, meta?: JsonObject) => {
    if (progressToken !== undefined) {
      const params = { progressToken, progress: told.progress, message, ...(meta && { _meta: meta }) };
      await notify({ method: 'notifications/progress', params });
    }
    reached?.({ run, ...told });
    // The SDK queues what it is given: what a client does not read would be held in memory.
    await read?.();
  };
  try {
    const answer = await answerOf(deps, call, () =>
      work({
        cancelled: open.cancelled,
        closing,
        onWait,
        started: (started) => {
          run = started;
          request.notes.runId = started;
          reached?.({ run, ...messages.told });
          // At once: whoever loses the connection can look for the run.
          begun = tell(messages.count(), ...runMessage(started));
          begun.catch(() => undefined);
        },
        event: async (event, at) => {
          await begun;
          for (const { message, told } of messages.of(event, at)) await tell(told, message);
        },
        replay: true,
      }),
    );
    await begun;
    return 'needs' in answer ? needed(answer.needs) : answer.result;
  } finally {
    open.end();
  }
}

/** What a call needs before it can go on. */
const needed = ({ run, after, waits }: NeedsInput): Result => ({
  resultType: 'input_required',
  inputRequests: Object.fromEntries(waits.map((wait) => [wait.nonce, formOf(wait)])),
  requestState: sealed({ run, after }),
  _meta: { 'millrace/run': run },
});

/** A call whose client takes tasks: its result if it ends soon, otherwise a task. */
async function taskOf(serving: Serving, call: Call, input: OrderInput): Promise<Result> {
  const { deps, request } = serving;
  const { signal } = call.context.mcpReq;
  const document = await startTask(deps, call, input, { waitMs: SHORT_MS, gone: signal, ...keyOf(call) });
  request.notes.runId = document.id;
  if (document.status === 'running') return { resultType: 'task', ...task(document) };
  return await endResult(deps, call, document);
}

async function oldTaskOf(serving: Serving, call: Call): Promise<Result> {
  const { deps, request } = serving;
  const { signal: gone } = call.context.mcpReq;
  const input = await inputOnce(deps, call, gone);
  const document = await startTask(deps, call, input, { waitMs: 0, gone, ...keyOf(call) });
  request.notes.runId = document.id;
  return { task: oldTask(document) };
}

function keyOf({ context }: Call): { idempotencyKey?: string } {
  const key = (context.mcpReq._meta as JsonObject | undefined)?.[IDEMPOTENCY_META];
  return typeof key === 'string' && IDEMPOTENCY_KEY.test(key) ? { idempotencyKey: key } : {};
}
