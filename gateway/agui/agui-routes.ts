import type { FastifyInstance, FastifyRequest } from 'fastify';
import { MillraceError } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import { readPaced } from '../../runs/paced-runs.js';
import { orderInput } from '../../runs/sent-input.js';
import { callerOf, holds, requirePermission } from '../access/caller.js';
import { persistenceOf } from '../access/retries.js';
import type { GatewayDeps } from '../deps.js';
import { EventStream } from '../http/event-stream.js';
import { takeJson } from '../http/json-body.js';
import { leaving } from '../http/leaving.js';
import { asMillraceError, problemOf } from '../http/problem.js';
import { expectExactIn } from '../input/exact-numbers.js';
import { forgetBody, senderOf } from '../input/held-bodies.js';
import type { Sender } from '../input/media-intake.js';
import { chargeReads } from '../openai/charged-reads.js';
import { answerOf } from '../openai/chat-reply.js';
import { inputOf } from '../openai/conversation.js';
import { type Model, Models } from '../openai/models.js';
import { decideAs } from '../waiting/decide-as.js';
import { type Followed, resumeCall, startCall, type WaitedCall, type Watch } from '../waiting/follow-call.js';
import { RUN_AGENT } from './docs.js';
import { resumptionOf } from './interrupt.js';
import { RunEvents } from './run-events.js';
import { conversationOf, type RunInput, readRunInput } from './run-input.js';

/** `POST /v1/agui/{pipeline}`: AG-UI (https://docs.ag-ui.com) for every pipeline that is a chat model. */
export async function aguiRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  const models = new Models(deps.pipelines);
  takeJson(app, { exact: 'noted' });
  const options = { bodyLimit: deps.limits.maxJsonBytes, config: { doc: RUN_AGENT } };
  app.post<{ Params: { pipeline: string } }>('/v1/agui/:pipeline', options, async (request, reply) => {
    // Not that of the stream, which aborts at shutdown too.
    const left = leaving(reply);
    const wanted = await request.held.during(() => ordered(deps, models, request, left));
    const { caller, model, events, work } = wanted;
    const stream = new EventStream(reply);
    const send = async (written: Iterable<Parameters<typeof stream.send>[0]>) => {
      for (const each of written) await stream.send(each);
    };
    // What a run does before its id is known to this function is told after its start.
    let begun: Promise<void> = Promise.resolve();
    try {
      const followed = await work({
        cancelled: left,
        closing: app.closing,
        // Others decide elsewhere, and the call waits for that.
        onWait: DECIDES.every((permission) => holds(caller, permission)) ? 'end' : undefined,
        started: (run) => {
          request.notes.runId = run;
          begun = send(events.start(run));
          begun.catch(() => undefined);
        },
        event: async (event) => {
          await begun;
          await send(events.of(event));
        },
      });
      await begun;
      if ('waits' in followed) await send(events.interrupt(followed));
      else await send(events.end(answerOf(followed.document, model), followed.document.output ?? {}));
    } catch (thrown) {
      const error = asMillraceError(thrown);
      Object.assign(request.notes, { code: error.code, error });
      await begun.catch(() => undefined);
      await stream.send(events.error(error, problemOf(error, request).detail));
    } finally {
      stream.end();
    }
    return reply;
  });
}

/** What who answers an interrupt needs besides `run`: the response goes on with the run of whoever has started it, to its output. */
const DECIDES = ['approve', 'read'] as const;

type Work = (watch: Watch) => Promise<Followed>;

/** What a request wants, and what writes its events; nothing else of its body is left. */
async function ordered(
  deps: GatewayDeps,
  models: Models,
  request: FastifyRequest<{ Params: { pipeline: string } }>,
  left: AbortSignal,
) {
  const caller = callerOf(request);
  const given = readRunInput(request.body as Json);
  expectExactIn(request.body as Json, [], 'resume');
  const model = models.get('chat', request.params.pipeline, caller);
  const call = { pipeline: model.pipeline, caller, persistence: persistenceOf(request.headers) };
  const work = await workOf(deps, { ...call, sender: senderOf(request, left) }, model, given);
  const events = new RunEvents(given, model);
  forgetBody(request);
  return { caller, model, events, work };
}

interface SentCall extends WaitedCall {
  readonly sender: Sender;
}

async function workOf(deps: GatewayDeps, call: SentCall, model: Model, given: RunInput): Promise<Work> {
  const { caller, sender } = call;
  const resumption = resumptionOf(given);
  if (resumption === undefined) {
    const { pipeline, persistence } = call;
    const checked = await inputOf(model, conversationOf(given), deps, sender);
    const input = orderInput(checked, { pipeline, ...persistence });
    return (watch) => startCall(deps, call, input, watch);
  }
  const { run, answers } = resumption;
  requirePermission(caller, ...DECIDES);
  // At its turn: what follows the decisions reads it without one.
  const { document } = await readPaced(deps, run, caller, { waits: 'acts' });
  if (document.pipeline !== model.pipeline.name) throw ofAnotherAgent(run);
  // Each asks Temporal. The first was counted with the request.
  await chargeReads(deps, caller, answers.length - 1);
  for (const answer of answers) await decideAs(deps, caller, { run, ...answer });
  const decided = new Set(answers.map(({ nonce }) => nonce));
  return (watch) => resumeCall(deps, call, resumption, { ...watch, decided });
}

/** As A2A says it of tasks: the answer would be read from an output that has other fields. */
function ofAnotherAgent(run: string): MillraceError {
  const message = `no run of this agent has the id "${run}"`;
  return new MillraceError('RUN_NOT_FOUND', message, { fields: [{ field: 'resume.0.interruptId', message }] });
}
