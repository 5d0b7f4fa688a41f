import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { OPENAI_PARAMETERS } from '../../pipelines/definition/index.js';
import type { Json } from '../../pipelines/json.js';
import type { GatewayDeps } from '../deps.js';
import { takeJson } from '../http/json-body.js';
import { checked } from './body.js';
import { EMBED } from './docs.js';
import { invalidParam } from './error-body.js';
import { readHeaders, runToEnd, usageOf } from './model-run.js';
import { inputFor, type Models } from './models.js';

const body = z.object({
  model: z.string(),
  input: z.union(
    [z.string(), z.array(z.string()).min(1)],
    'must be a string or a list of strings; tokens are not supported',
  ),
  encoding_format: z.enum(['float', 'base64']).nullish(),
  dimensions: z.int().min(1).nullish(),
});

/** `POST /v1/embeddings`. A list of texts needs a pipeline that takes a list; a single text works with any. */
export function embeddingsRoutes(app: FastifyInstance, deps: GatewayDeps, models: Models): void {
  takeJson(app);
  const options = { bodyLimit: deps.limits.maxJsonBytes, config: { doc: EMBED } };
  app.post('/v1/embeddings', options, async (request, reply) => {
    const { caller, orderOf } = readHeaders(request);
    const checkedBody = checked(body, request.body as Json, { harmless: ['user'] });
    const model = models.get('embeddings', checkedBody.model, caller);
    const { face, pipeline } = model;
    const texts = typeof checkedBody.input === 'string' ? [checkedBody.input] : checkedBody.input;
    if (!face.list && texts.length > 1)
      throw invalidParam('input', `"${pipeline.name}" takes a single text per request`);
    const given = { [face.input]: face.list ? texts : (texts[0] as string) };
    const input = inputFor(model, given, { dimensions: checkedBody.dimensions }, OPENAI_PARAMETERS.embeddings, 'input');
    const document = await runToEnd({ deps, request, reply }, orderOf(model, input, [face.output]));
    const found = document.output?.[face.output] as unknown as number[] | number[][];
    const vectors = (Array.isArray(found[0]) ? found : [found]) as number[][];
    const tokens = usageOf(document)?.input ?? 0;
    return {
      object: 'list',
      model: pipeline.name,
      data: vectors.map((vector, index) => ({
        object: 'embedding',
        index,
        embedding: checkedBody.encoding_format === 'base64' ? base64Of(vector) : vector,
      })),
      // OpenAI's clients require it: 0 if no model server reports usage.
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    };
  });
}

/** 32-bit floats, little-endian, as OpenAI's clients expect. */
function base64Of(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [i, value] of vector.entries()) bytes.writeFloatLE(value, i * 4);
  return bytes.toString('base64');
}
