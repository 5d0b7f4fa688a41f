import { z } from 'zod';
import { mapMedia, mediaFields, schemasAt, type TakeMedia } from '../../media/index.js';
import type { Pipeline } from '../../pipelines/definition/index.js';
import type { FieldError, MillraceError } from '../../pipelines/errors.js';
import { fieldErrors, invalidFields } from '../../pipelines/invalid-fields.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { type MediaKind, mediaOf } from '../../pipelines/media.js';
import { mostValuesOf } from './alternatives.js';
import { expectExact } from './exact-numbers.js';
import { checkedInput } from './first-mistakes.js';
import { expectModest, MOST_LEVELS, MOST_VALUES } from './input-size.js';
import type { ModestJson } from './json-size.js';
import { lacksField } from './lacks-field.js';

/** Most parts of a form, and most items that it can add to a list; far above any pipeline's number of fields. */
export const MOST_PARTS = 100;

/** Why an input may have fewer values than others. */
const ALTERNATIVES =
  ': each is compared with several alternatives of the pipeline’s schema (a z.discriminatedUnion has no such limit)';

/** The form of a pipeline's input. A path is field names and indices joined by dots: `speaker.voice`, `clips.0`. */
export interface InputForm {
  readonly fields: ReadonlySet<string>;
  /** Paths of media fields, `*` for any index: `speech`, `speaker.voice`, `clips.*`. */
  readonly media: ReadonlySet<string>;
  /** Most files in a form. */
  readonly mostFiles: number;
  /** Whether the schema has a path. */
  has(path: string): boolean;
  /** Whether an object at a path cannot have a field: `lacksField`. */
  lacks(path: string, field: string): boolean;
  /** The kind of media at a path; undefined if it is not media. */
  kindAt(path: string): MediaKind | undefined;
  /** Whether the path is a list. */
  isList(path: string): boolean;
  /**
   * Parses a field that was sent as text (a multipart part): unchanged for a string field, otherwise as JSON.
   * @param json of the request
   */
  fromText(path: string, text: string, json: ModestJson): Json;
  /**
   * Replaces the media in the value at a path by the results of `take`. Throws `INVALID_INPUT` for a value that is too
   * large.
   */
  withMedia(path: string, value: Json, take: TakeMedia): Promise<Json>;
  /** Validates a whole input, whose media are artifacts. Throws `INVALID_INPUT` with the fields. */
  parse(given: JsonObject): JsonObject;
}

export function inputForm({ input }: Pick<Pipeline, 'input'>): InputForm {
  const shape = input instanceof z.ZodObject ? (input.shape as Record<string, z.ZodType>) : {};
  const media = new Set(mediaFields(input).map(({ path }) => path));
  const most = mostValuesOf(input);
  const why = most < MOST_VALUES ? ALTERNATIVES : '';
  // A caller may write any path, and a schema may contain itself: no input is deeper.
  const at = (path: string) => {
    const keys = path.split('.', MOST_LEVELS + 1);
    return keys.length > MOST_LEVELS ? [] : schemasAt(input, keys);
  };
  return {
    fields: new Set(Object.keys(shape)),
    media,
    mostFiles: [...media].some((path) => path.split('.').includes('*')) ? MOST_PARTS : media.size,
    has: (path) => at(path).length > 0,
    lacks: (path, field) => lacksField(input, path.split('.'), field),
    kindAt: (path) => at(path).map(mediaOf).find(Boolean),
    isList: (path) => at(path).some((schema) => schema instanceof z.ZodArray || schema instanceof z.ZodTuple),
    fromText(path, text, json) {
      const [only, ...others] = at(path);
      if (only === undefined || others.length > 0) return text;
      const { type } = z.toJSONSchema(only, { io: 'input', unrepresentable: 'any' });
      return type === 'string' || type === undefined ? text : parseOrKeep(text, path, json);
    },
    async withMedia(path, value, take) {
      expectModest(value, path);
      const field = Object.hasOwn(shape, path) ? shape[path] : undefined;
      const [only, ...others] = field ? [field] : at(path);
      // The schemas of a path do not say whether null is allowed: validation does.
      if (only === undefined || (value === null && !field)) return value;
      return mapMedia(others.length === 0 ? only : z.union([only, ...others]), value, take, path);
    },
    parse(given) {
      for (const [field, value] of Object.entries(given)) expectModest(value, field, most, why);
      const values = expectModest(given, 'body', most, why);
      const { data, issues, more } = checkedInput(input, given, values);
      if (issues === undefined) return data as JsonObject;
      const fields = issues.flatMap((issue) => fieldErrors(issue, given, shape));
      throw invalidFields('INVALID_INPUT', fields, {}, more);
    },
  };
}

/** Invalid JSON is kept as text, so that validation reports the expected type. */
function parseOrKeep(text: string, path: string, json: ModestJson): Json {
  json.expect(Buffer.from(text), path);
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    return text;
  }
  expectExact(value, text, path);
  return value;
}

export function invalidInput(fields: readonly FieldError[]): MillraceError {
  return invalidFields('INVALID_INPUT', fields);
}
