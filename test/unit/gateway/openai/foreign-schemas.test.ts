import { expect, it } from 'vitest';
import { readChatRequest } from '../../../../gateway/openai/chat-request.js';
import { readResponsesRequest } from '../../../../gateway/openai/responses-request.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';

const evil: JsonObject = { type: 'object', properties: { a: { type: 'string', pattern: '^(?:(a+)+\\1)$' } } };
const fine: JsonObject = { type: 'object', properties: { a: { type: 'string', pattern: '^(a+)+$' } } };
const chat = (more: JsonObject) => () =>
  readChatRequest({ model: 'm', messages: [{ role: 'user', content: 'q' }], ...more });
const responses = (more: JsonObject) => () => readResponsesRequest({ model: 'm', input: 'q', ...more });

const cases = (schema: JsonObject): [string, () => unknown, string][] => {
  const format = { type: 'json_schema', name: 'n', json_schema: { name: 'n', schema }, schema } as Json;
  const tools = (tool: Json): Json => [{ type: 'function', name: 'a', function: { name: 'a' } }, tool];
  return [
    ['response_format', chat({ response_format: format }), 'response_format.json_schema.schema'],
    [
      'tools',
      chat({ tools: tools({ type: 'function', function: { name: 'b', parameters: schema } }) }),
      'tools[1].function.parameters',
    ],
    ['text.format', responses({ text: { format } }), 'text.format.schema'],
    [
      'tools of responses',
      responses({ tools: tools({ type: 'function', name: 'b', parameters: schema }) }),
      'tools[1].parameters',
    ],
  ];
};

it.each(cases(evil))(
  'a schema in %s that cannot be checked in linear time is refused by its name',
  (_, read, field) => {
    const message = expect.stringContaining('#/properties/a/pattern refers back');
    expect(read).toThrow(expect.objectContaining({ code: 'INVALID_INPUT', details: { fields: [{ field, message }] } }));
  },
);

it.each(cases(fine))('a schema in %s whose pattern backtracks elsewhere only is taken', (_, read) => {
  expect(read).not.toThrow();
});
