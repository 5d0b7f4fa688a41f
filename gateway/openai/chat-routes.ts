import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { MillraceError } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import type { RunDocument } from '../../runs/document.js';
import type { GatewayDeps } from '../deps.js';
import type { ServerEvent } from '../http/event-stream.js';
import { takeJson } from '../http/json-body.js';
import { leaving } from '../http/leaving.js';
import { forgetBody, senderOf } from '../input/held-bodies.js';
import { audioMessage, spokenAnswer, spokenChunks, withSpokenTurns } from './chat-audio.js';
import { type Answer, answerFields, answerOf, type Chunk, ChunkWriter, completionOf } from './chat-reply.js';
import { readChatRequest } from './chat-request.js';
import { choiceOrders, expectChoices } from './choices.js';
import { inputOf } from './conversation.js';
import { COMPLETE_CHAT } from './docs.js';
import { errorBody } from './error-body.js';
import { opensAs, sendAsEvents } from './event-answer.js';
import { givesLogprobs, withLogprobs } from './logprobs.js';
import { merged } from './merged.js';
import { readHeaders, type StreamedRun } from './model-run.js';
import type { Models } from './models.js';
import { chargeRuns, runsStreamed, runsToEnd } from './several-runs.js';

/** `POST /v1/chat/completions`, as JSON or as server-sent events. */
export function chatRoutes(app: FastifyInstance, deps: GatewayDeps, models: Models): void {
  takeJson(app);
  const options = { bodyLimit: deps.limits.maxJsonBytes, config: { doc: COMPLETE_CHAT } };
  app.post('/v1/chat/completions', options, async (request, reply) => {
    const wanted = await request.held.during(() => ordered(deps, models, { request, reply }));
    const { caller, chat, model, spoken, hasLogprobs, signal, order } = wanted;
    const { choices: n, customTools, includeUsage } = chat;
    const answered = (document: RunDocument): Answer => {
      const answer = answerOf(document, model);
      return hasLogprobs ? withLogprobs(answer, document) : answer;
    };
    await chargeRuns(deps, caller, { runs: n, param: 'n' });
    const exchange = { deps, request, reply };
    const orders = choiceOrders(order, n);
    const { tenant } = caller;
    if (!chat.stream) {
      const read = (document: RunDocument) => ({ document, run: document.id, answer: answered(document) });
      const choices = await runsToEnd(exchange, orders, { atOnce: n, read });
      const [{ document, answer, run }] = choices;
      const { response } = request;
      const audio = spoken && (await audioMessage(deps, { document, spoken, answer, tenant, signal, response }));
      return completionOf({ run, createdAt: document.createdAt, model, customTools }, choices, audio);
    }
    const { runs, end } = await runsStreamed(exchange, orders, model);
    const [first] = runs;
    const of = { run: first.run.id, createdAt: first.run.memo.createdAt, model, customTools };
    const writing = { includeUsage, spoken: spoken !== undefined };
    const written = runs.map(({ run, pieces }, index) => {
      const choice = n > 1 ? { choice: { index, run: run.id } } : {};
      return { pieces, writer: new ChunkWriter(of, { ...writing, ...choice }) };
    });
    const events = spoken
      ? spokenChunks(deps, first, { model, spoken, writer: new ChunkWriter(of, writing), tenant, signal })
      : chunks(written, answered, end);
    const failed = (error: MillraceError) => [{ data: JSON.stringify(errorBody(error, request)) }];
    await sendAsEvents(reply, events, failed, opensAs(order));
    return reply;
  });
}

/** What a request wants; nothing else of its body is left. */
async function ordered(
  deps: GatewayDeps,
  models: Models,
  { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
) {
  const { caller, orderOf } = readHeaders(request);
  const { conversation: said, spoken: wish, ...chat } = readChatRequest(request.body as Json);
  const model = models.get('chat', chat.model, caller);
  const spoken = wish && (await spokenAnswer(deps, model, wish));
  const isSpoken = spoken !== undefined;
  expectChoices(model, { n: chat.choices, caller, isSpoken });
  const hasLogprobs = givesLogprobs(model, { parameters: said.parameters, isSpoken });
  const signal = leaving(reply);
  const conversation = await withSpokenTurns(deps, models, { caller, signal }, said);
  const fields = { ...conversation.fields, ...spoken?.input };
  const input = await inputOf(model, { ...conversation, fields }, deps, senderOf(request, signal));
  forgetBody(request);
  const order = orderOf(model, input, [...answerFields(model), ...(spoken ? [spoken.field] : [])]);
  return { caller, chat, model, spoken, hasLogprobs, signal, order };
}

interface StreamedChoice extends Pick<StreamedRun, 'pieces'> {
  readonly writer: ChunkWriter;
}

/** The chunks of all choices as they come. The first failure ends them; `end` is called when none is wanted any more. */
async function* chunks(
  choices: readonly StreamedChoice[],
  answered: (document: RunDocument) => Answer,
  end: () => void,
): AsyncGenerator<ServerEvent> {
  const answers: Answer[] = [];
  async function* of({ pieces, writer }: StreamedChoice): AsyncGenerator<Chunk> {
    for await (const piece of pieces) {
      if ('document' in piece) {
        const answer = answered(piece.document);
        answers.push(answer);
        yield* writer.end(answer);
      } else yield* writer.told(piece);
    }
  }
  try {
    for await (const chunk of merged(...choices.map(of))) yield { data: JSON.stringify(chunk) };
  } finally {
    end();
  }
  for (const chunk of choices[0]?.writer.usage(answers) ?? []) yield { data: JSON.stringify(chunk) };
  yield { data: '[DONE]' };
}
