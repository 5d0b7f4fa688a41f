import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { callerOf, idempotencyKeyOf } from '../access/caller.js';
import { persistenceOf } from '../access/retries.js';
import { takeJson } from '../http/json-body.js';
import { checked } from './body.js';
import { chargeReads } from './charged-reads.js';
import { type Conversation, type KeptItem, mayHave } from './conversations.js';
import {
  ADD_ITEMS,
  CREATE_CONVERSATION,
  DELETE_CONVERSATION,
  GET_CONVERSATION,
  LIST_ITEMS,
  UPDATE_CONVERSATION,
} from './docs-stored.js';
import { isKnown, pageIn, pageOf, pageQueryOf } from './list-page.js';
import { items } from './responses-items.js';
import { withMetadata } from './responses-request.js';
import type { ResponsesDoor } from './responses-routes.js';

type OfConversation = { Params: { id: string } };

const creation = z.object({
  items: items.nullish(),
  metadata: withMetadata,
});
const update = z.object({ metadata: withMetadata });
const addition = z.object({ items: items.refine(({ length }) => length > 0, 'must have an item') });

/** `/v1/conversations` and the items of a conversation. */
export function conversationsRoutes(app: FastifyInstance, { deps, conversations, responses }: ResponsesDoor): void {
  takeJson(app, { mayBeEmpty: true });
  const bodyLimit = deps.limits.maxJsonBytes;
  const found = (request: FastifyRequest<OfConversation>, reading?: { readonly adds: true }) =>
    conversations.find(request.params.id, callerOf(request), reading);

  const create = async (request: FastifyRequest) => {
    const { items: given, metadata } = checked(creation, (request.body ?? {}) as Json, {});
    const opened = await responses.resolved(given ?? [], callerOf(request), 'items');
    return bodyOf(await conversations.create(callerOf(request), opened, (metadata ?? {}) as JsonObject));
  };
  app.post('/v1/conversations', { bodyLimit, config: { doc: CREATE_CONVERSATION } }, (request) =>
    request.held.during(() => create(request)),
  );

  app.get<OfConversation>('/v1/conversations/:id', { config: { doc: GET_CONVERSATION } }, async (request) =>
    bodyOf(await found(request)),
  );

  const changeMetadata = async (request: FastifyRequest<OfConversation>) => {
    const metadata = (checked(update, (request.body ?? {}) as Json, {}).metadata ?? {}) as JsonObject;
    const conversation = await found(request, { adds: true });
    await conversations.setMetadata(conversation, callerOf(request), metadata);
    return bodyOf({ ...conversation, metadata });
  };
  app.post<OfConversation>('/v1/conversations/:id', { bodyLimit, config: { doc: UPDATE_CONVERSATION } }, (request) =>
    request.held.during(() => changeMetadata(request)),
  );

  app.delete<OfConversation>('/v1/conversations/:id', { config: { doc: DELETE_CONVERSATION } }, async (request) => {
    const conversation = await found(request);
    await conversations.erase(conversation, callerOf(request));
    return { id: conversation.id, object: 'conversation.deleted', deleted: true };
  });

  app.get<OfConversation>('/v1/conversations/:id/items', { config: { doc: LIST_ITEMS } }, async (request) => {
    const wanted = pageQueryOf(request.query);
    const { order, after } = wanted;
    const { entries } = await found(request);
    const ordered = order === 'asc' ? entries : [...entries].reverse();
    const from = after === undefined ? 0 : ordered.findIndex((entry) => mayHave(entry, after));
    const read: KeptItem[] = [];
    let responsesRead = 0;
    // Each response takes calls to Temporal: only those that the page may have items of are read.
    for (const entry of from < 0 ? [] : ordered.slice(from)) {
      // The first was counted with the request.
      if ('response' in entry && responsesRead++ > 0) await chargeReads(deps, callerOf(request), 1, responsesRead - 2);
      const own = await conversations.itemsOf(entry, callerOf(request));
      read.push(...(order === 'asc' ? own : [...own].reverse()));
      if (isKnown(read, wanted)) break;
    }
    return pageIn(read.map(asItem), wanted);
  });

  const add = async (request: FastifyRequest<OfConversation>) => {
    const { items: given } = checked(addition, request.body as Json, {});
    const { headers } = request;
    const sent = { ...persistenceOf(headers), key: idempotencyKeyOf(headers) };
    const conversation = await found(request, { adds: true });
    const opened = await responses.resolved(given, callerOf(request), 'items');
    const kept = await conversations.addItems(conversation, callerOf(request), opened, sent);
    return pageOf(kept.map(asItem), { order: 'asc', limit: '100' });
  };
  app.post<OfConversation>('/v1/conversations/:id/items', { bodyLimit, config: { doc: ADD_ITEMS } }, (request) =>
    request.held.during(() => add(request)),
  );
}

const bodyOf = ({ id, createdAt, metadata }: Conversation) => ({
  id,
  object: 'conversation' as const,
  created_at: createdAt,
  metadata,
});

/** An item as lists have it: a message's content as parts. */
function asItem(item: KeptItem): Readonly<Record<string, unknown>> & { readonly id: string } {
  if (!('role' in item)) return { ...item, status: 'completed' };
  const type = item.role === 'assistant' ? 'output_text' : 'input_text';
  const content = typeof item.content === 'string' ? [{ type, text: item.content } as const] : item.content;
  return { ...item, type: 'message', status: 'completed', content };
}
