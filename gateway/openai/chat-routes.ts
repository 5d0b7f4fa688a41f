import type { FastifyInstance } from 'fastify';
import type { MillraceError } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import type { GatewayDeps } from '../deps.js';
import type { ServerEvent } from '../http/event-stream.js';
import { takeJson } from '../http/json-body.js';
import { leaving } from '../http/leaving.js';
import { audioMessage, spokenAnswer, spokenChunks, withSpokenTurns } from './chat-audio.js';
import { answerFields, answerOf, ChunkWriter, completionOf } from './chat-reply.js';
import { readChatRequest } from './chat-request.js';
import { inputOf } from './conversation.js';
import { COMPLETE_CHAT } from './docs.js';
import { errorBody } from './error-body.js';
import { opensAs, sendAsEvents } from './event-answer.js';
import { readHeaders, runStreamed, runToEnd, type StreamedRun } from './model-run.js';
import type { Model, Models } from './models.js';

/** `POST /v1/chat/completions`, as JSON or as server-sent events. */
export function chatRoutes(app: FastifyInstance, deps: GatewayDeps, models: Models): void {
  takeJson(app);
  const options = { bodyLimit: deps.limits.maxJsonBytes, config: { doc: COMPLETE_CHAT } };
  app.post('/v1/chat/completions', options, async (request, reply) => {
    const { caller, orderOf } = readHeaders(request);
    const chatRequest = readChatRequest(request.body as Json);
    const model = models.get('chat', chatRequest.model, caller);
    const spoken = chatRequest.spoken && (await spokenAnswer(deps, model, chatRequest.spoken));
    const signal = leaving(reply);
    const conversation = await withSpokenTurns(deps, models, { caller, signal }, chatRequest.conversation);
    const fields = { ...conversation.fields, ...spoken?.input };
    const input = await inputOf(model, { ...conversation, fields }, deps, caller.tenant);
    const order = orderOf(model, input, [...answerFields(model), ...(spoken ? [spoken.field] : [])]);
    const exchange = { deps, request, reply };
    if (!chatRequest.stream) {
      const document = await runToEnd(exchange, order);
      const { id: run, createdAt } = document;
      const answer = answerOf(document, model);
      const { tenant } = caller;
      const audio = spoken && (await audioMessage(deps, { document, spoken, answer, tenant, signal }));
      return completionOf({ run, createdAt, model }, answer, audio);
    }
    const streamed = await runStreamed(exchange, order, model);
    const { id: run, memo } = streamed.run;
    const { includeUsage } = chatRequest;
    const writing = { includeUsage, spoken: spoken !== undefined };
    const writer = new ChunkWriter({ run, createdAt: memo.createdAt, model }, writing);
    const of = { model, writer, tenant: caller.tenant, signal };
    const events = spoken ? spokenChunks(deps, streamed, { ...of, spoken }) : chunks(streamed, of);
    const failed = (error: MillraceError) => ({ data: JSON.stringify(errorBody(error, request)) });
    await sendAsEvents(reply, events, failed, opensAs(order));
    return reply;
  });
}

async function* chunks(
  { pieces }: StreamedRun,
  { model, writer }: { readonly model: Model; readonly writer: ChunkWriter },
): AsyncGenerator<ServerEvent> {
  for await (const piece of pieces) {
    const written = 'document' in piece ? writer.end(answerOf(piece.document, model)) : writer.told(piece);
    for (const chunk of written) yield { data: JSON.stringify(chunk) };
  }
  yield { data: '[DONE]' };
}
