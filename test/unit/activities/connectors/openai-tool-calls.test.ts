import { describe, expect, it } from 'vitest';
import { outputOf } from '../../../../activities/connectors/openai/chat.js';
import {
  checkToolCalls,
  type ReadToolCall,
  readToolCalls,
  ToolCalls,
  type ToolDelta,
  toolCallsInText,
} from '../../../../activities/connectors/openai/tool-calls.js';
import { fastest } from '../../../support/fastest.js';

const OFFERED = new Set(['weather', 'time']);

describe('deltas of tool calls', () => {
  const collect = (...deltas: ToolDelta[]) => {
    const calls = new ToolCalls();
    for (const delta of deltas) calls.add(delta);
    return calls.all;
  };
  const part = (text: string): ToolDelta => ({ index: 0, function: { arguments: text } });

  it.each<[string, ToolDelta[]]>([
    ['a name alone first', [{ index: 0, id: 'a', function: { name: 'weather' } }, part('{"x":1}')]],
    [
      'a name with no arguments first',
      [{ index: 0, id: 'a', function: { name: 'weather', arguments: '' } }, part('{"x"'), part(':1}')],
    ],
    [
      'a name with some arguments first',
      [{ index: 0, id: 'a', function: { name: 'weather', arguments: '{"x"' } }, part(':1}')],
    ],
    [
      'its id and name in every delta',
      ['{"x"', ':1}'].map((text) => ({ index: 0, id: 'a', function: { name: 'weather', arguments: text } })),
    ],
    ['no index', [{ id: 'a', function: { name: 'weather', arguments: '{"x"' } }, { function: { arguments: ':1}' } }]],
    ['null for an index', [{ index: null, id: 'a', function: { name: 'weather', arguments: '{"x":1}' } }]],
    ['an object for arguments', [{ index: 0, id: 'a', function: { name: 'weather', arguments: { x: 1 } } }]],
  ])('make one call: %s', (_, deltas) => {
    expect(collect(...deltas)).toEqual([{ id: 'a', name: 'weather', arguments: '{"x":1}' }]);
  });

  it('of two calls may come in turns', () => {
    const calls = collect(
      { index: 0, id: 'a', function: { name: 'weather' } },
      { index: 1, id: 'b', function: { name: 'time' } },
      { index: 0, function: { arguments: '1' } },
      { index: 1, function: { arguments: '2' } },
    );
    expect(calls.map(({ arguments: text }) => text)).toEqual(['1', '2']);
  });

  it('are read in one pass, and are no more than a reply may have', () => {
    const deltas = Array.from({ length: 1_000 }, (_, index) => ({
      index,
      id: `c${index}`,
      function: { name: 'time' },
    }));
    expect(collect(...deltas)).toHaveLength(1_000);
    const more = { index: 1_000, id: 'c1000', function: { name: 'time' } };
    expect(() => collect(...deltas, more)).toThrow(expect.objectContaining({ code: 'INVALID_OUTPUT' }));
    const parts = Array.from({ length: 100_000 }, (_, i) => ({ index: i % 1_000, function: { arguments: 'x' } }));
    expect(fastest(() => void collect(...deltas, ...parts), 2)).toBeLessThan(500);
  });

  it('without an index are two calls where two names come', () => {
    expect(collect({ function: { name: 'weather' } }, { function: { name: 'time' } })).toHaveLength(2);
  });
});

describe('arguments', () => {
  const read = (text: string, finish = 'tool_calls') =>
    readToolCalls([{ id: 'a', name: 'weather', arguments: text }], OFFERED, finish)[0]?.arguments;

  it('are read', () => expect(read(' {"city": "Paris"}\n')).toEqual({ city: 'Paris' }));
  it('that are missing are none', () => expect(read('')).toEqual({}));
  it.each(['{"city": "Par', '[1]', '"Paris"', 'null', 'city=Paris'])('%s are INVALID_OUTPUT', (text) => {
    expect(() => read(text)).toThrow(expect.objectContaining({ code: 'INVALID_OUTPUT' }));
  });
  it('with an integer that a number does not hold are INVALID_OUTPUT: the caller’s tool would get another one', () => {
    expect(() => read('{"order": {"id": 9007199254740993}}')).toThrow(
      expect.objectContaining({ code: 'INVALID_OUTPUT', message: expect.stringMatching(/"weather" .*: order\.id is/) }),
    );
    expect(read('{"order": 9007199254740992}')).toEqual({ order: 9_007_199_254_740_992 });
  });
  it('that were cut before they began are INVALID_OUTPUT', () => {
    expect(() => read('', 'length')).toThrow(/cut/);
  });
});

describe('an integer of a call that a number does not hold', () => {
  const schema = { type: 'object', properties: { order: { type: 'integer' }, note: { type: 'string' } } };
  const wrongOf = (text: string) =>
    checkToolCalls([{ id: 'a', name: 'time', arguments: text }], new Map([['time', schema]]), 'tool_calls')[0]?.wrong;

  it('is told to the model: the tool would get another one', () => {
    expect(wrongOf('{"order": 9007199254740993}')).toMatch(/do not fit: order is an integer of more digits/);
    expect(wrongOf('{"order": 9007199254740992}')).toBeUndefined();
    expect(wrongOf('{"note": "9007199254740993"}')).toBeUndefined();
    expect(wrongOf('')).toBeUndefined();
  });
});

describe('calls in text', () => {
  const found = (text: string) => toolCallsInText(text, OFFERED)?.map((call) => [call.name, call.arguments]);

  it.each([
    '{"name": "weather", "arguments": {"city": "Paris"}}',
    ' \n{"name": "weather", "parameters": {"city": "Paris"}}\n',
    '{"type": "function", "name": "weather", "arguments": "{\\"city\\": \\"Paris\\"}"}',
    '[{"name": "weather", "arguments": {"city": "Paris"}}]',
    '```json\n{"name": "weather", "arguments": {"city": "Paris"}}\n```',
    '```\n{"name": "weather", "arguments": {"city": "Paris"}}\n```\n',
  ])('%s is one', (text) => expect(found(text)).toEqual([['weather', { city: 'Paris' }]]));

  it.each([
    ['prose', 'It is sunny.'],
    ['prose around a call', 'Calling {"name": "weather", "arguments": {}}'],
    ['a call and prose', '{"name": "weather", "arguments": {}} now'],
    ['a tool that is not on offer', '{"name": "launch", "arguments": {}}'],
    ['a list with such a tool', '[{"name": "weather", "arguments": {}}, {"name": "launch", "arguments": {}}]'],
    ['no arguments', '{"name": "weather"}'],
    ['arguments that are no object', '{"name": "weather", "arguments": [1]}'],
    ['an answer that happens to have a name', '{"name": "weather", "arguments": {}, "verdict": "for"}'],
    ['an empty list', '[]'],
    ['cut JSON', '{"name": "weather", "argum'],
    ['a list of numbers', '[1, 2]'],
    ['a fence alone', '```'],
    ['a block without its end', '```json\n{"name": "weather", "arguments": {}}'],
    ['a block of another language', '```python\n{"name": "weather", "arguments": {}}\n```'],
  ])('%s is none', (_, text) => expect(found(text)).toBeUndefined());

  it('are looked for in time that grows with the text, not faster', () => {
    const text = `\`\`\`\n${'\n'.repeat(200_000)}x`;
    expect(fastest(() => expect(found(text)).toBeUndefined(), 3)).toBeLessThan(500);
  });

  it('keep an id that they have', () => {
    expect(toolCallsInText('{"id": "x", "name": "time", "arguments": {}}', OFFERED)?.[0]?.id).toBe('x');
  });
});

describe.each([
  ['plain', '{"name": "time", "arguments": {"order": N}}'],
  ['in a code block', '```json\n{"name": "time", "parameters": {"order": N}}\n```'],
  ['behind another one', '[{"name": "time", "arguments": {"order": 1}}, {"name": "time", "arguments": {"order": N}}]'],
  ['with its arguments as a text', '{"name": "time", "arguments": "{\\"order\\": N}"}'],
])('an integer that a number does not hold, of a call in text: %s', (_, form) => {
  const reply = (order: string, wrongCalls?: 'report') =>
    outputOf(
      {
        text: form.replace('N', order),
        toolCalls: [],
        refusal: '',
        finish: 'stop',
        reasoning: '',
        logprobs: [],
        usage: {},
      },
      { tools: [{ name: 'time', description: '', schema: { type: 'object' } }], ...(wrongCalls && { wrongCalls }) },
    ).toolCalls as unknown as ReadToolCall[];

  it('is told to the model, or is INVALID_OUTPUT: the tool would get another one', () => {
    const wrong = reply('9007199254740993', 'report').map((call) => call.wrong);
    expect(wrong.pop()).toMatch(/do not fit: order is an integer of more digits/);
    expect(wrong.every((each) => each === undefined)).toBe(true);
    expect(() => reply('9007199254740993')).toThrow(
      expect.objectContaining({ code: 'INVALID_OUTPUT', message: expect.stringMatching(/"time".*: order is/) }),
    );
  });

  it('passes as one that it holds', () => {
    for (const wrongCalls of ['report', undefined] as const)
      expect(reply('9007199254740992', wrongCalls).at(-1)).toEqual({
        id: expect.any(String),
        name: 'time',
        arguments: { order: 9_007_199_254_740_992 },
      });
  });
});

it('an integer of many digits that a call in text has as a text passes', () => {
  const text = '{"name": "time", "arguments": {"order": "9007199254740993"}}';
  expect(toolCallsInText(text, OFFERED)?.[0]).toMatchObject({ arguments: { order: '9007199254740993' } });
  expect(toolCallsInText(text, OFFERED)?.[0]?.wrong).toBeUndefined();
});
