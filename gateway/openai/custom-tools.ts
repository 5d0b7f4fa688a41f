import { z } from 'zod';
import { isJsonObject, type JsonObject } from '../../pipelines/json.js';

/*
 * Custom tools of OpenAI's API: the model calls them with a text in place of arguments. Few model servers know them, so that each is
 * offered to the model as a function with one text, and its calls are told as calls of a custom tool.
 */

const INPUT = 'input';

const SCHEMA: JsonObject = {
  type: 'object',
  properties: { [INPUT]: { type: 'string', description: 'The whole input of the tool, as plain text' } },
  required: [INPUT],
  additionalProperties: false,
};

const NO_GRAMMAR =
  'must be "text": no model server takes a grammar for the input of a tool; tell its form in the description, or offer a function with a JSON Schema and "strict": true';

/** What both APIs say of a custom tool. */
export const customTool = z.object({
  name: z.string(),
  description: z.string().nullish(),
  format: z.object({ type: z.literal('text', NO_GRAMMAR) }).nullish(),
});

export const TOOL_TYPES = 'must be "function" or "custom": no other tool is offered to a pipeline';

/** A custom tool as a function of OpenAI's. */
export const functionOf = ({ name, description }: z.output<typeof customTool>) => ({
  name,
  description,
  parameters: SCHEMA,
  strict: true,
});

/** A call of a custom tool that the client sends back, as a call of its function. */
export const argumentsOfInput = (input: string): JsonObject => ({ [INPUT]: input });

/** The text that a custom tool is called with. A model may call its function with something else, which is told as JSON. */
export function inputOfArguments(given: JsonObject): string {
  const { [INPUT]: input } = given;
  return typeof input === 'string' ? input : JSON.stringify(given);
}

/** The names of the custom tools among the tools of a request to the Responses API. */
export const customNames = (tools: readonly unknown[] | null | undefined): ReadonlySet<string> =>
  new Set(
    (tools ?? []).flatMap((tool) =>
      isJsonObject(tool) && tool.type === 'custom' && typeof tool.name === 'string' ? [tool.name] : [],
    ),
  );
