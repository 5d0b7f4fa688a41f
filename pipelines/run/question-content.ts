import type { FieldError } from '../errors.js';
import { isJsonObject, type Json, type JsonObject } from '../json.js';

/**
 * Why the content of an answer does not fit a question’s schema: the first such field, as `content.name`. Undefined: it fits. The schema is one
 * that the worker has read (`activities/mcp/question.ts`): an object of texts, numbers, booleans and choices. No pattern of the server is run.
 */
export function misfitOfContent(schema: JsonObject, content: JsonObject): FieldError | undefined {
  const properties = objectOf(schema.properties);
  const required = Array.isArray(schema.required) ? schema.required : [];
  const missing = required.find((name) => !Object.hasOwn(content, String(name)));
  if (missing !== undefined) return wrong(String(missing), 'is missing');
  for (const [name, value] of Object.entries(content)) {
    if (!Object.hasOwn(properties, name)) {
      const known = Object.keys(properties).join(', ') || 'none';
      return wrong(name, `is not a field of the question (its fields: ${known})`);
    }
    const why = misfitOf(objectOf(properties[name]), value);
    if (why !== undefined) return wrong(name, why);
  }
  return undefined;
}

/** The content with the defaults of fields that were left out. */
export function filledIn(schema: JsonObject, content: JsonObject): JsonObject {
  const defaults = Object.entries(objectOf(schema.properties)).flatMap(([name, field]) => {
    const value = objectOf(field).default;
    return value === undefined || Object.hasOwn(content, name) ? [] : [[name, value] as const];
  });
  return { ...content, ...Object.fromEntries(defaults) };
}

const objectOf = (value: Json | undefined): JsonObject => (isJsonObject(value) ? value : {});

const wrong = (name: string, why: string): FieldError => ({
  field: `content.${name}`,
  message: `content.${name}: ${why}`,
});

function misfitOf(field: JsonObject, value: Json): string | undefined {
  switch (field.type) {
    case 'boolean':
      return typeof value === 'boolean' ? undefined : 'must be true or false';
    case 'number':
    case 'integer':
      return misfitOfNumber(field, value);
    case 'array':
      return misfitOfList(field, value);
    default:
      return misfitOfText(field, value);
  }
}

function misfitOfNumber({ type, minimum, maximum }: JsonObject, value: Json): string | undefined {
  if (typeof value !== 'number') return 'must be a number';
  if (type === 'integer' && !Number.isInteger(value)) return 'must be an integer';
  if (typeof minimum === 'number' && value < minimum) return `must be ${minimum} or more`;
  if (typeof maximum === 'number' && value > maximum) return `must be ${maximum} or less`;
  return undefined;
}

function misfitOfList({ items, minItems, maxItems }: JsonObject, value: Json): string | undefined {
  const choices = choicesOf(objectOf(items)) ?? [];
  if (!Array.isArray(value) || value.some((each) => !choices.includes(each)))
    return `must be a list of ${choices.join(', ')}`;
  if (typeof minItems === 'number' && value.length < minItems) return `must have ${minItems} or more`;
  if (typeof maxItems === 'number' && value.length > maxItems) return `must have ${maxItems} or less`;
  return undefined;
}

function misfitOfText(field: JsonObject, value: Json): string | undefined {
  if (typeof value !== 'string') return 'must be a text';
  const choices = choicesOf(field);
  if (choices !== undefined) return choices.includes(value) ? undefined : `must be one of ${choices.join(', ')}`;
  const { minLength, maxLength, format } = field;
  const length = [...value].length;
  if (typeof minLength === 'number' && length < minLength) return `must have ${minLength} characters or more`;
  if (typeof maxLength === 'number' && length > maxLength) return `must have ${maxLength} characters or less`;
  const fits = typeof format === 'string' && Object.hasOwn(FORMATS, format) ? FORMATS[format] : undefined;
  return fits === undefined || fits(value) ? undefined : `must be of the format ${format}`;
}

/** The values of a choice; undefined for a field that is none. */
function choicesOf({ enum: plain, oneOf, anyOf }: JsonObject): readonly Json[] | undefined {
  if (Array.isArray(plain)) return plain;
  const titled = oneOf ?? anyOf;
  return Array.isArray(titled) ? titled.map((choice) => objectOf(choice).const ?? null) : undefined;
}

/** Linear in the text: they run in the workflow. */
const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  email: (text) => /^[^\s@]+@[^\s@]+$/.test(text),
  uri: (text) => /^[A-Za-z][A-Za-z0-9+.-]*:\S+$/.test(text),
  date: (text) => /^\d{4}-\d{2}-\d{2}$/.test(text) && isDay(text),
  'date-time': (text) =>
    /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/.test(text) &&
    isDay(text.slice(0, 10)) &&
    !Number.isNaN(Date.parse(text)),
};

/** A day that the calendar has: February has no 30th. */
function isDay(text: string): boolean {
  const at = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(at) && new Date(at).toISOString().slice(0, 10) === text;
}
