import { MillraceError } from '../../../pipelines/errors.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { pairsIn } from '../pairs.js';
import { chat, outputOf } from './chat.js';
import { complete, tokenLimit } from './completion.js';
import { extrasOf, ofCaller, withExtra } from './extra.js';
import type { KindHandler } from './kind-handler.js';
import { boundTo } from './structured.js';

/** A label in JSON takes a few tokens, then the schema ends the reply; the rest is for reasoning models. */
const MOST_TOKENS = 1_024;

/**
 * Classification of one text by an LLM whose reply is bound by a schema to one of the labels. An LLM reports a label
 * but no confidence: the label's score is 1, the others' are 0.
 */
export const classify: KindHandler = {
  async invoke(call, context) {
    const { client, signal, emit, options: pool, software, refused } = context;
    const { model, with: options, input } = call;
    const labels = options.labels as readonly string[];
    if (input.textPair !== undefined || pairsIn(call)) {
      throw new MillraceError(
        'CAPABILITY_MISSING',
        'an LLM classifies one text; name a pool of a classifier of two texts',
      );
    }
    if (typeof input.text !== 'string') {
      throw new MillraceError(
        'CAPABILITY_MISSING',
        'an LLM classifies text; name a pool of a classifier of images or sounds',
      );
    }
    const schema = schemaOf(labels);
    const completion = await complete(
      client,
      withExtra(
        {
          model,
          messages: [
            { role: 'system', content: `Classify the text that the user gives as one of: ${labels.join(', ')}.` },
            { role: 'user', content: input.text },
          ],
          temperature: 0,
          ...tokenLimit(client, MOST_TOKENS),
          ...boundTo(schema),
          ...ofCaller(software, pool, context),
        },
        ...extrasOf(call, pool),
      ),
      // Chunks are JSON around the label, not text of an answer.
      { signal, refused, emit: () => emit('') },
    );
    const { data } = outputOf(completion, { schema });
    const { label } = data as { readonly label: string };
    return {
      output: { label, score: 1, scores: Object.fromEntries(labels.map((each) => [each, each === label ? 1 : 0])) },
      usage: completion.usage,
    };
  },
  probe: chat.probe,
};

const schemaOf = (labels: readonly string[]): JsonObject => ({
  type: 'object',
  properties: { label: { type: 'string', enum: labels } },
  required: ['label'],
  additionalProperties: false,
});
