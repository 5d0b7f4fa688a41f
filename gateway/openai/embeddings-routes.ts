import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { OPENAI_PARAMETERS } from '../../pipelines/definition/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import { hasEffects } from '../../pipelines/plan/effects.js';
import type { RunDocument } from '../../runs/document.js';
import type { GatewayDeps } from '../deps.js';
import { takeJson } from '../http/json-body.js';
import { forgetBody } from '../input/held-bodies.js';
import { checked } from './body.js';
import { EMBED } from './docs.js';
import { base64Of, type Embedded, embeddingsBody, MOST_TEXTS } from './embeddings-body.js';
import { invalidParam } from './error-body.js';
import { readHeaders, usageOf } from './model-run.js';
import { inputFor, type Model, type Models } from './models.js';
import { chargeRuns, furtherKey, runsToEnd } from './several-runs.js';

/** Most runs of one request at a time. */
const AT_ONCE = 4;

/** A text, or its tokens. */
type Item = string | number[];

const isText = (value: unknown): value is string => typeof value === 'string';
const isTokens = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length > 0 && value.every((each) => Number.isSafeInteger(each) && each >= 0);

/** Not a union of schemas: each of them would report every item of a long list that is of another. */
function isInput(value: unknown): value is string | number[] | string[] | number[][] {
  if (isText(value) || isTokens(value)) return true;
  if (!Array.isArray(value) || value.length === 0 || value.length > MOST_TEXTS) return false;
  return value.every(isText) || value.every(isTokens);
}

const body = z.object({
  model: z.string(),
  input: z.custom<string | number[] | string[] | number[][]>(isInput, { error: ({ input }) => whyNoTexts(input) }),
  encoding_format: z.enum(['float', 'base64']).nullish(),
  dimensions: z.int().min(1).nullish(),
});

const whyNoTexts = (input: unknown): string =>
  Array.isArray(input) && input.length > MOST_TEXTS
    ? `has ${input.length} texts; a request may have ${MOST_TEXTS}`
    : 'must be a string, a list of strings, or lists of tokens';

/** The texts of a request, or their tokens. */
function itemsOf(input: z.output<typeof body>['input']): Item[] {
  if (isText(input) || isTokens(input)) return [input];
  return input;
}

/** Throws `INVALID_INPUT` for tokens where the model takes texts, and the reverse. */
function expectFit({ face, form, pipeline }: Model, [first]: readonly Item[]): void {
  const takesTokens = form.has(`${face.input}.0.0`);
  const isText = typeof first === 'string';
  if (takesTokens && isText) throw invalidParam('input', `must be lists of tokens: "${pipeline.name}" takes no texts`);
  if (takesTokens || isText) return;
  const how = 'LangChain’s OpenAIEmbeddings sends texts with check_embedding_ctx_length=False';
  const why = `has tokens, and "${pipeline.name}" takes texts, since its model has a tokenizer of its own`;
  throw invalidParam('input', `${why}: send texts (${how}), or name a pipeline that takes "tokens"`);
}

/**
 * `POST /v1/embeddings`. A list of texts needs a pipeline that takes a list; a single text works with any. A list that is longer
 * than the pipeline takes is embedded by several runs.
 */
export function embeddingsRoutes(app: FastifyInstance, deps: GatewayDeps, models: Models): void {
  takeJson(app);
  const options = { bodyLimit: deps.limits.maxJsonBytes, config: { doc: EMBED } };
  app.post('/v1/embeddings', options, async (request, reply) => {
    const { caller, model, orders, lengths, inBase64 } = ordered(models, request);
    await chargeRuns(deps, caller, { runs: orders.length, param: 'input' });
    holdSlots(deps, reply, caller.tenant, orders.length - 1);
    const read = (document: RunDocument, i: number): Embedded => {
      const vectors = vectorsOf(document, model.face.output);
      const length = lengths[i];
      if (orders.length > 1 && vectors.length !== length)
        throw new MillraceError(
          'INVALID_OUTPUT',
          `the pipeline returned ${vectors.length} embeddings for ${length} texts`,
        );
      return {
        vectors: inBase64 ? vectors.map(base64Of) : vectors,
        tokens: usageOf(document)?.input ?? 0,
      };
    };
    const atOnce = Math.min(AT_ONCE, caller.runs?.most ?? AT_ONCE);
    const runs = await runsToEnd({ deps, request, reply }, orders, { atOnce, read });
    reply.type('application/json; charset=utf-8');
    const parts = embeddingsBody(model.pipeline.name, runs);
    return await reply.send(runs.length > 1 ? Readable.from(parts, { objectMode: false }) : [...parts].join(''));
  });
}

/** The orders of a request, with the number of items of each; nothing else of its body is left. */
function ordered(models: Models, request: FastifyRequest) {
  const { caller, orderOf } = readHeaders(request);
  const { input: given, model: name, ...wanted } = checked(body, request.body as Json, { harmless: ['user'] });
  const model = models.get('embeddings', name, caller);
  const { face } = model;
  const items = itemsOf(given);
  expectFit(model, items);
  const batches = batchesOf(model, items);
  const orders = batches.map((batch, i) => {
    const fields = { [face.input]: face.list ? [...batch] : (batch[0] as Item) };
    const input = inputFor(model, fields, { dimensions: wanted.dimensions }, OPENAI_PARAMETERS.embeddings, 'input');
    const order = orderOf(model, input, [face.output]);
    return { ...order, idempotencyKey: furtherKey(order.idempotencyKey, i) };
  });
  forgetBody(request, orders.length);
  const inBase64 = wanted.encoding_format === 'base64';
  return { caller, model, orders, lengths: batches.map(({ length }) => length), inBase64 };
}

/** The items of each run. Throws `INVALID_INPUT` for several where the pipeline takes one text. */
function batchesOf({ face, pipeline, most }: Model, items: readonly Item[]): (readonly Item[])[] {
  if (!face.list && items.length > 1) throw invalidParam('input', `"${pipeline.name}" takes a single text per request`);
  // A run with effects is the caller's only one: its pipeline says what it takes.
  if (!most || hasEffects(pipeline.plan)) return [items];
  const count = Math.ceil(items.length / most);
  return Array.from({ length: count }, (_, i) => items.slice(i * most, (i + 1) * most));
}

/**
 * Holds as many of the tenant's slots as there are further runs until the response is sent: what a request keeps in memory is
 * bounded as that of so many requests. Throws `TOO_MANY_STREAMS` and `REQUEST_ABORTED`.
 */
function holdSlots({ streams }: GatewayDeps, reply: FastifyReply, tenant: string, slots: number): void {
  // It may have been closed before: then it does not say so again.
  if (reply.raw.destroyed) throw new MillraceError('REQUEST_ABORTED', 'the client disconnected before its runs began');
  const held: (() => void)[] = [];
  reply.raw.once('close', () => {
    for (const leave of held) leave();
  });
  for (let i = 0; i < slots; i++) held.push(streams.take(tenant));
}

function vectorsOf({ output }: RunDocument, field: string): readonly (readonly number[])[] {
  const found = output?.[field] as unknown as number[] | number[][];
  return (Array.isArray(found[0]) ? found : [found]) as number[][];
}
