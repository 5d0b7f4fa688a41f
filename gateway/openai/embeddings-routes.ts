import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import { OPENAI_PARAMETERS } from '../../pipelines/definition/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import { hasEffects } from '../../pipelines/plan/effects.js';
import type { RunDocument } from '../../runs/document.js';
import type { GatewayDeps } from '../deps.js';
import { takeJson } from '../http/json-body.js';
import { checked } from './body.js';
import { EMBED } from './docs.js';
import { base64Of, type Embedded, embeddingsBody, MOST_TEXTS } from './embeddings-body.js';
import { invalidParam } from './error-body.js';
import { readHeaders, usageOf } from './model-run.js';
import { inputFor, type Model, type Models } from './models.js';
import { chargeRuns, furtherKey, runsToEnd } from './several-runs.js';

/** Most runs of one request at a time. */
const AT_ONCE = 4;

const TOKENS =
  'has tokens: send texts, since each model has a tokenizer of its own (LangChain’s OpenAIEmbeddings: check_embedding_ctx_length=False)';

const body = z.object({
  model: z.string(),
  input: z.union([z.string(), z.array(z.string()).min(1).max(MOST_TEXTS)], { error: ({ input }) => whyNoTexts(input) }),
  encoding_format: z.enum(['float', 'base64']).nullish(),
  dimensions: z.int().min(1).nullish(),
});

function whyNoTexts(input: unknown): string {
  if (!Array.isArray(input)) return 'must be a string or a list of strings';
  const [first]: readonly unknown[] = Array.isArray(input[0]) ? input[0] : input;
  if (typeof first === 'number') return TOKENS;
  return input.length > MOST_TEXTS
    ? `has ${input.length} texts; a request may have ${MOST_TEXTS}`
    : 'must be a string or a list of strings';
}

/**
 * `POST /v1/embeddings`. A list of texts needs a pipeline that takes a list; a single text works with any. A list that is longer
 * than the pipeline takes is embedded by several runs.
 */
export function embeddingsRoutes(app: FastifyInstance, deps: GatewayDeps, models: Models): void {
  takeJson(app);
  const options = { bodyLimit: deps.limits.maxJsonBytes, config: { doc: EMBED } };
  app.post('/v1/embeddings', options, async (request, reply) => {
    const { caller, orderOf } = readHeaders(request);
    const { input: given, model: name, ...wanted } = checked(body, request.body as Json, { harmless: ['user'] });
    const model = models.get('embeddings', name, caller);
    const { face } = model;
    const batches = batchesOf(model, typeof given === 'string' ? [given] : given);
    const orders = batches.map((texts, i) => {
      const fields = { [face.input]: face.list ? [...texts] : (texts[0] as string) };
      const input = inputFor(model, fields, { dimensions: wanted.dimensions }, OPENAI_PARAMETERS.embeddings, 'input');
      const order = orderOf(model, input, [face.output]);
      return { ...order, idempotencyKey: furtherKey(order.idempotencyKey, i) };
    });
    await chargeRuns(deps, caller, { runs: orders.length, param: 'input' });
    holdSlots(deps, reply, caller.tenant, orders.length - 1);
    const read = (document: RunDocument, i: number): Embedded => {
      const vectors = vectorsOf(document, face.output);
      const { length } = batches[i] ?? [];
      if (orders.length > 1 && vectors.length !== length)
        throw new MillraceError('INVALID_OUTPUT', `the pipeline gave ${vectors.length} embeddings of ${length} texts`);
      return {
        vectors: wanted.encoding_format === 'base64' ? vectors.map(base64Of) : vectors,
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

/** The texts of each run. Throws `INVALID_INPUT` for several texts where the pipeline takes one. */
function batchesOf({ face, pipeline, most }: Model, texts: readonly string[]): (readonly string[])[] {
  if (!face.list && texts.length > 1) throw invalidParam('input', `"${pipeline.name}" takes a single text per request`);
  // A run with effects is the caller's only one: its pipeline says what it takes.
  if (!most || hasEffects(pipeline.plan)) return [texts];
  const count = Math.ceil(texts.length / most);
  return Array.from({ length: count }, (_, i) => texts.slice(i * most, (i + 1) * most));
}

/**
 * Holds as many of the tenant's slots as there are further runs until the response is sent: what a request keeps in memory is
 * bounded as that of so many requests. Throws `TOO_MANY_STREAMS`.
 */
function holdSlots({ streams }: GatewayDeps, reply: FastifyReply, tenant: string, slots: number): void {
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
