import type { Pipeline } from '../../pipelines/definition/index.js';
import { isJsonObject, type JsonObject } from '../../pipelines/json.js';
import { exampleOf } from './example.js';
import { mediaCount, mediaInput, withMedia } from './media-schema.js';

/** An input that can be sent as JSON; without media only if the pipeline accepts it, refinements included. */
export function exampleInput({ input, inputSchema }: Pipeline): JsonObject | undefined {
  const example = exampleOf(withMedia(inputSchema, mediaInput));
  if (!isJsonObject(example)) return undefined;
  return mediaCount(inputSchema) > 0 || input.safeParse(example).success ? example : undefined;
}
