import { type Load, paced } from '../attack.js';
import { exchange, outcomeOf, POST } from '../exchange.js';

const schemaOf = (pattern: string) => ({
  type: 'object',
  properties: { a: { type: 'string', pattern } },
  required: ['a'],
  additionalProperties: false,
});
/**
 * The first takes a backtracking engine for ever on the model's reply; the second cannot be matched in linear time at
 * all.
 */
const PATTERNS = ['^(a+)+$', '^(?:(a+)+\\1)$'];

const WAYS = PATTERNS.flatMap((pattern) => {
  const schema = schemaOf(pattern);
  return [
    { response_format: { type: 'json_schema', json_schema: { name: 'n', schema } } },
    { tools: [{ type: 'function', function: { name: 'f', parameters: schema } }] },
  ];
});

export const hostilePatterns: Load = {
  name: 'hostile-patterns',
  about: 'chat with a catastrophic pattern in response_format and in a tool',
  must: ['400 INVALID_INPUT', '502 INVALID_OUTPUT'],
  // A call that does not fit is reported to the caller.
  may: ['200'],
  async run(context) {
    const { doors, secrets, end } = context;
    const messages = [{ role: 'user', content: 'hostile' }];
    await paced({ everyMs: 250, atOnce: 4, most: 200 }, context, async (n) => {
      const body = JSON.stringify({ model: 'talk', messages, ...WAYS[n % WAYS.length] });
      const request = { port: doors.http, path: '/v1/chat/completions', secret: secrets.attacker, body, end, ...POST };
      return outcomeOf(await exchange(request));
    });
  },
};
