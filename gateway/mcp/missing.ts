import type { InputRequests, InputRequiredResult } from '@modelcontextprotocol/server';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { type Elicitation, type Elicited, form } from './ask.js';
import type { PipelineTool } from './tool.js';

/** Key of the form that asks for texts, numbers and booleans. */
const FIELDS = 'fields';
/** Types of a schema that a form may ask for. */
const ASKABLE = new Set(['string', 'number', 'integer', 'boolean']);
/** Keywords that a form's fields may have. */
const KEYWORDS = ['type', 'title', 'description', 'enum', 'minLength', 'maxLength', 'minimum', 'maximum', 'default'];

/** Forms by their keys, as a result has them. */
type Forms = Readonly<Record<string, Elicitation>>;

/** What a client has sent with a request that it makes again, by the keys of the forms. Nothing of it has been checked. */
export type Answers = Readonly<Record<string, unknown>>;

/** A result that says what is missing: the client makes its request again, with the answers. */
export const inputRequired = (forms: Forms): InputRequiredResult => ({
  resultType: 'input_required',
  inputRequests: forms as unknown as InputRequests,
});

/**
 * Asks for the fields that a call lacks: for texts, numbers and booleans together, for an object of them by a form of its own, whose key is
 * the field’s name. Undefined if the call lacks none, or one that no form can have, such as a list.
 */
export function formsOfMissing({ tool, pipeline }: PipelineTool, given: JsonObject): Forms | undefined {
  // Not the schema of the tool, in which media are objects of texts.
  const { required, properties } = pipeline.inputSchema as JsonObject;
  const missing = namesIn(required).filter((field) => !Object.hasOwn(given, field));
  const fields: Record<string, JsonObject> = {};
  const forms: Record<string, Elicitation> = {};
  for (const field of missing) {
    const schema = objectOf(objectOf(properties)[field]);
    const plain = fieldOf(schema);
    const inner = fieldsOf(schema);
    if (plain) fields[field] = plain;
    else if (inner && field !== FIELDS)
      forms[field] = form(about(`${tool.name} needs ${field}`, schema), inner, namesIn(schema.required));
    else return undefined;
  }
  const plain = Object.keys(fields);
  if (plain.length > 0) forms[FIELDS] = form(`${tool.name} needs ${plain.join(', ')}`, fields);
  return missing.length === 0 ? undefined : forms;
}

/** Asks for the arguments that a prompt lacks. */
export const formOfArguments = (
  prompt: string,
  missing: Readonly<Record<string, { readonly description?: string }>>,
): Forms => ({
  [FIELDS]: form(
    `The prompt ${prompt} needs ${Object.keys(missing).join(', ')}`,
    Object.fromEntries(
      Object.entries(missing).map(([name, { description }]) => [
        name,
        { type: 'string', ...(description !== undefined && { description }) },
      ]),
    ),
  ),
});

/** The given values with those of the forms’ answers; a given one comes first. */
export function withFields<T extends object>(answers: Answers, forms: Forms, given: T): T & JsonObject {
  const filled: Record<string, Json> = {};
  for (const key of Object.keys(forms)) {
    const { action, content } = (answers[key] ?? {}) as Elicited;
    if (action !== 'accept' || !isJsonObject(content)) continue;
    if (key === FIELDS) Object.assign(filled, content);
    else filled[key] = content;
  }
  return { ...filled, ...given };
}

/** Whether the client’s user does not want to fill in one of the forms. */
export const declines = (answers: Answers, forms: Forms): boolean =>
  Object.keys(forms).some((key) => {
    const { action } = (answers[key] ?? {}) as Elicited;
    return action === 'decline' || action === 'cancel';
  });

/** An object’s fields, if a form can ask for all of them. */
function fieldsOf({ type, properties }: JsonObject): Readonly<Record<string, JsonObject>> | undefined {
  const all = Object.entries(objectOf(properties)).map(([name, schema]) => [name, fieldOf(objectOf(schema))] as const);
  if (type !== 'object' || all.length === 0 || all.some(([, field]) => field === undefined)) return undefined;
  return Object.fromEntries(all) as Record<string, JsonObject>;
}

/** A text, a number or a boolean as a field of a form. */
const fieldOf = (schema: JsonObject): JsonObject | undefined =>
  ASKABLE.has(String(schema.type))
    ? Object.fromEntries(Object.entries(schema).filter(([name]) => KEYWORDS.includes(name)))
    : undefined;

const about = (message: string, { description }: JsonObject): string =>
  typeof description === 'string' ? `${message}: ${description}` : message;

const objectOf = (value: Json | undefined): JsonObject => (isJsonObject(value) ? value : {});

const namesIn = (value: Json | undefined): readonly string[] => (Array.isArray(value) ? value.map(String) : []);
