import { z } from 'zod';
import { invalid } from '../definition/invalid.js';
import { isJsonObject, type Json, type JsonObject } from '../json.js';
import { jsonSchemaOf } from './json-schema.js';

const NAMED = ['type', 'title', 'description', 'default'];
/** What a field may say, by its type: the flat schemas of MCP's elicitation, which every client that shows forms knows. */
const KEYWORDS: Readonly<Record<string, readonly string[]>> = {
  string: [...NAMED, 'enum', 'enumNames', 'minLength', 'maxLength', 'format', 'pattern'],
  number: [...NAMED, 'minimum', 'maximum'],
  integer: [...NAMED, 'minimum', 'maximum'],
  boolean: NAMED,
  array: [...NAMED, 'items', 'minItems', 'maxItems'],
};
const FORMATS = ['email', 'uri', 'date', 'date-time'];

/**
 * JSON Schema of a form that a person fills in: texts, numbers, booleans, choices and lists of choices. Throws `INVALID_PIPELINE` naming a field that is none of
 * these, or has a rule that a form cannot say.
 */
export function formSchemaOf(form: z.ZodObject, where: string): JsonObject {
  expectStated(form, where);
  const { properties = {}, required = [] } = jsonSchemaOf(form, where);
  const fields = Object.entries(properties as JsonObject);
  if (fields.length === 0) throw invalid(where, 'has no fields');
  return {
    type: 'object',
    properties: Object.fromEntries(fields.map(([name, schema]) => [name, fieldOf(schema, `${where}.${name}`)])),
    ...((required as readonly Json[]).length > 0 && { required }),
  };
}

/** Refuses what JSON Schema leaves out: a person's answer would neither be checked by it nor changed. */
function expectStated(form: z.ZodObject, where: string): void {
  const unstated: string[] = [];
  z.toJSONSchema(form, {
    io: 'input',
    unrepresentable: 'any',
    override({ zodSchema, path }) {
      const { type, coerce, checks = [] } = zodSchema._zod.def as z.core.$ZodTypeDef & { readonly coerce?: boolean };
      const changes = type === 'pipe' || type === 'transform' || coerce === true;
      if (changes || checks.some((check) => UNSTATED.has(check._zod.def.check)))
        unstated.push(path[0] === 'properties' ? `${where}.${path[1]}` : where);
    },
  });
  const [first] = unstated;
  if (first !== undefined)
    throw invalid(first, 'has a rule that a form cannot say: .refine(), .transform(), .trim() and others, or z.coerce');
}

/** Checks of zod that are functions: `.refine()` and those that change the value, as `.trim()`. */
const UNSTATED: ReadonlySet<string> = new Set(['custom', 'overwrite']);

function fieldOf(schema: Json, where: string): JsonObject {
  const choices = isJsonObject(schema) ? titledIn(schema.anyOf) : undefined;
  if (isJsonObject(schema) && choices) {
    const { anyOf: _, ...rest } = schema;
    return { ...fieldOf({ type: 'string', ...rest }, where), oneOf: choices };
  }
  const known = isJsonObject(schema) ? KEYWORDS[String(schema.type)] : undefined;
  if (!isJsonObject(schema) || known === undefined)
    throw invalid(
      where,
      'must be a text, a number, a boolean, a z.enum() or a list of one: that is what a form can ask',
    );
  const strange = Object.keys(schema).find((keyword) => !known.includes(keyword));
  if (strange !== undefined) throw invalid(where, `has the rule "${strange}", which a form cannot say`);
  const { pattern, ...given } = schema;
  // Every integer has these bounds, which tell a person nothing.
  const rest = Object.fromEntries(Object.entries(given).filter(([, value]) => !isSafeBound(value)));
  const { format, items } = rest;
  if (format !== undefined && !FORMATS.includes(String(format)))
    throw invalid(where, `has the format "${String(format)}"; a form knows ${FORMATS.join(', ')}`);
  // zod's formats are patterns too.
  if (pattern !== undefined && format === undefined)
    throw invalid(where, 'has the rule "pattern", which a form cannot say');
  if (schema.enumNames !== undefined && !areNamesOf(schema.enumNames, schema.enum))
    throw invalid(where, 'must have a text in enumNames for each of its choices');
  if (schema.type !== 'array') return rest;
  const listed = isJsonObject(items) ? titledIn(items.anyOf) : undefined;
  if (listed) return { ...rest, items: { anyOf: listed } };
  if (!isJsonObject(items) || !Array.isArray(items.enum)) throw invalid(where, 'must be a list of a z.enum()');
  return { ...rest, items: { type: 'string', enum: items.enum as Json } };
}

/** The choices of a union of literals, each with its title. Undefined for another schema. */
function titledIn(options: Json | undefined): JsonObject[] | undefined {
  if (!Array.isArray(options)) return undefined;
  const choices: JsonObject[] = [];
  for (const option of options as readonly Json[]) {
    const { type, const: value, title = value, ...more } = isJsonObject(option) ? option : {};
    if (type !== 'string' || typeof value !== 'string' || typeof title !== 'string') return undefined;
    if (Object.keys(more).length > 0) return undefined;
    choices.push({ const: value, title });
  }
  return choices;
}

/** Titles of a `z.enum()`, as clients before version 2025-11-25 of the protocol know them. */
const areNamesOf = (names: Json, choices: Json | undefined): boolean =>
  Array.isArray(names) &&
  Array.isArray(choices) &&
  names.length === choices.length &&
  names.every((name) => typeof name === 'string');

const isSafeBound = (value: Json): boolean => typeof value === 'number' && Math.abs(value) === Number.MAX_SAFE_INTEGER;
