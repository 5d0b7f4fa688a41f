import { MillraceError } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { EMBEDDED } from '../../pipelines/stages/index.js';

/** Throws `CAPABILITY_MISSING` for an `embed` call of tokens, by a connector that sends texts only. */
export function expectTexts({ tokens }: JsonObject): void {
  if (tokens === undefined) return;
  throw cannotEmbed(
    'tokens',
    'the pool’s connector embeds texts; tokens need the connector openai and a server that takes them',
  );
}

/** One thing to embed, with its field of the stage's input. */
export interface Listed {
  readonly item: JsonObject;
  readonly field: string;
}

/** The things that a call is to embed, in their order, if it has a list; of tokens there are none. */
export function listedIn({ texts, items }: JsonObject): readonly Listed[] | undefined {
  if (Array.isArray(texts)) return texts.map((text: Json, i) => ({ item: { text }, field: `texts.${i}` }));
  if (!Array.isArray(items)) return undefined;
  return items.map((item: Json, i) => ({ item: item as JsonObject, field: `items.${i}` }));
}

/**
 * The texts that a call is to embed, if it has a list. Throws `CAPABILITY_MISSING` for one with media, by a connector that
 * sends lists of texts only.
 */
export const textsIn = (input: JsonObject): readonly Json[] | undefined =>
  listedIn(input)?.map(({ item, field }) => {
    if (item.text !== undefined) return item.text;
    throw cannotEmbed(field, 'the pool’s connector embeds lists of texts; embed each medium by a stage of its own');
  });

/** What an item is: `text`, `image`, `audio` or `video`. */
export const embeddedKind = (item: JsonObject) => EMBEDDED.find((each) => item[each] !== undefined);

export const cannotEmbed = (field: string, message: string): MillraceError =>
  new MillraceError('CAPABILITY_MISSING', message, { fields: [{ field, message }] });
