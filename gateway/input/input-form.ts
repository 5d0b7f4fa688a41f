import { z } from 'zod';
import { mapMedia, mediaFields, schemasAt, type TakeMedia } from '../../media/index.js';
import type { Pipeline } from '../../pipelines/definition/index.js';
import type { FieldError, MillraceError } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { type MediaKind, mediaOf } from '../../pipelines/media.js';
import { expectModest } from './input-size.js';

/** Far above any pipeline's number of fields; also the most items that a form can give to a list. */
export const MOST_PARTS = 100;

/** What a pipeline's input asks for. A path is field names and indices joined by dots: `speaker.voice`, `clips.0`. */
export interface InputForm {
  readonly fields: ReadonlySet<string>;
  /** Paths of the media, `*` for any index: `speech`, `speaker.voice`, `clips.*`. */
  readonly media: ReadonlySet<string>;
  /** Most files that one form can bring. */
  readonly mostFiles: number;
  /** Whether the input has a place at a path. */
  has(path: string): boolean;
  /** The kind of media that a path asks for, if it asks for media. */
  kindAt(path: string): MediaKind | undefined;
  /** Whether a path is that of a list. */
  isList(path: string): boolean;
  /** Reads a field that came as text (a multipart part): as it is for a string field, else as JSON. */
  fromText(path: string, text: string): Json;
  /** Replaces the media in the value at a path by what `take` gives for it. Throws `INVALID_INPUT` for one too large. */
  withMedia(path: string, value: Json, take: TakeMedia): Promise<Json>;
  /** Checks a whole input, media being artifacts by now. Throws `INVALID_INPUT` naming the bad fields. */
  parse(given: JsonObject): JsonObject;
}

export function inputForm({ input }: Pick<Pipeline, 'input'>): InputForm {
  const shape = input instanceof z.ZodObject ? (input.shape as Record<string, z.ZodType>) : {};
  const media = new Set(mediaFields(input).map(({ path }) => path));
  const at = (path: string) => schemasAt(input, path.split('.'));
  return {
    fields: new Set(Object.keys(shape)),
    media,
    mostFiles: [...media].some((path) => path.split('.').includes('*')) ? MOST_PARTS : media.size,
    has: (path) => at(path).length > 0,
    kindAt: (path) => at(path).map(mediaOf).find(Boolean),
    isList: (path) => at(path).some((schema) => schema instanceof z.ZodArray || schema instanceof z.ZodTuple),
    fromText(path, text) {
      const [only, ...others] = at(path);
      if (only === undefined || others.length > 0) return text;
      const { type } = z.toJSONSchema(only, { io: 'input', unrepresentable: 'any' });
      return type === 'string' || type === undefined ? text : parseOrKeep(text);
    },
    async withMedia(path, value, take) {
      expectModest(value, path);
      const [only, ...others] = Object.hasOwn(shape, path) ? [shape[path] as z.ZodType] : at(path);
      if (only === undefined) return value;
      return mapMedia(others.length === 0 ? only : z.union([only, ...others]), value, take, path);
    },
    parse(given) {
      for (const [field, value] of Object.entries(given)) expectModest(value, field);
      expectModest(given, 'body');
      const parsed = input.safeParse(given);
      if (parsed.success) return parsed.data as JsonObject;
      throw invalidInput(parsed.error.issues.flatMap((issue) => fieldErrors(issue, given, shape)));
    },
  };
}

/** Text that is no JSON stays text, so that validation can say which type was expected. */
function parseOrKeep(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

function fieldErrors(
  issue: z.core.$ZodIssue,
  given: JsonObject,
  shape: Readonly<Record<string, z.ZodType>>,
): FieldError[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ field: [...path, key].join('.'), message: 'unknown field' }));
  }
  const [top] = path;
  // A refinement of the whole may name a field that may well be absent.
  const missing = path.length === 1 && top !== undefined && given[top] === undefined && !shape[top]?.isOptional();
  return [{ field: path.join('.') || 'body', message: missing ? 'is required' : issue.message }];
}

export function invalidInput(fields: readonly FieldError[]): MillraceError {
  return invalidFields('INVALID_INPUT', fields);
}
