import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';

/** Throws `CAPABILITY_MISSING` for an `embed` call of tokens, by a connector that sends texts only. */
export function expectTexts({ tokens }: JsonObject): void {
  if (tokens === undefined) return;
  const message = 'the pool’s connector embeds texts; tokens need the connector openai and a server that takes them';
  throw new MillraceError('CAPABILITY_MISSING', message, { fields: [{ field: 'tokens', message }] });
}
