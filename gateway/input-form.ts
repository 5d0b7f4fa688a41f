import { z } from 'zod';
import type { Pipeline } from '../pipelines/definition/index.js';
import { type FieldError, MillraceError } from '../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../pipelines/json.js';
import { mediaOf } from '../pipelines/media.js';

/** What a pipeline's input asks for, field by field. */
export interface InputForm {
  readonly fields: ReadonlySet<string>;
  /** Those that take a media file. */
  readonly media: ReadonlySet<string>;
  /** Reads a field that came as text (a multipart part): as it is for a string field, else as JSON. */
  fromText(field: string, text: string): Json;
  /** Checks a whole input, media being artifacts by now. Throws `INVALID_INPUT` naming every bad field. */
  parse(given: JsonObject): JsonObject;
}

export function inputForm(pipeline: Pipeline): InputForm {
  const shape = pipeline.input instanceof z.ZodObject ? (pipeline.input.shape as Record<string, z.ZodType>) : {};
  const media = Object.keys(shape).filter((field) => mediaOf(shape[field] as z.ZodType) !== undefined);
  const schema = isJsonObject(pipeline.inputSchema) ? pipeline.inputSchema.properties : undefined;
  return {
    fields: new Set(Object.keys(shape)),
    media: new Set(media),
    fromText(field, text) {
      const property = isJsonObject(schema ?? null) ? (schema as JsonObject)[field] : undefined;
      const type = isJsonObject(property ?? null) ? (property as JsonObject).type : undefined;
      return type === 'string' || type === undefined ? text : parseOrKeep(text);
    },
    parse(given) {
      const parsed = pipeline.input.safeParse(given);
      if (parsed.success) return parsed.data as JsonObject;
      throw invalidInput(parsed.error.issues.flatMap((issue) => fieldErrors(issue, given)));
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

function fieldErrors(issue: z.core.$ZodIssue, given: JsonObject): FieldError[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ field: [...path, key].join('.'), message: 'unknown field' }));
  }
  const [top] = path;
  const missing = path.length === 1 && top !== undefined && given[top] === undefined;
  return [{ field: path.join('.') || 'body', message: missing ? 'is required' : issue.message }];
}

export function invalidInput(fields: readonly FieldError[]): MillraceError {
  return new MillraceError('INVALID_INPUT', fields.map(({ field, message }) => `${field}: ${message}`).join('; '), {
    fields,
  });
}
