import { expect, test, vi } from 'vitest';
import type { Json, JsonObject } from '../../../pipelines/json.js';
import type { RunContext } from '../../../pipelines/run/index.js';
import { refuseTooLarge, withFittingDecisions } from '../../../runs/start-size.js';

const context = (plan: object = {}) => ({ plan, placement: {}, tenant: 'acme' }) as unknown as RunContext;
const MEGABYTE = 'x'.repeat(1_000_000);

function fieldOf(input: JsonObject, plan = {}): string | undefined {
  try {
    refuseTooLarge(input, context(plan));
    return undefined;
  } catch (error) {
    return (error as { details: { fields: { field: string }[] } }).details.fields[0]?.field;
  }
}

test.each<[JsonObject, string | undefined]>([
  [{ a: MEGABYTE }, undefined],
  [{ a: MEGABYTE, b: [MEGABYTE, MEGABYTE] }, 'b'],
  [
    {
      a: '',
      messages: [
        { role: 'user', content: '' },
        { role: 'user', content: MEGABYTE + MEGABYTE + MEGABYTE },
      ],
    },
    'messages[1].content',
  ],
  [{ a: 'ä'.repeat(1_100_000) }, 'a'],
  [{ rows: Array.from({ length: 600_000 }, (_, i): Json => i) }, 'rows'],
])('case %#', (input, field) => {
  expect(fieldOf(input)).toBe(field);
});

test('the plan that the run carries counts', () => {
  expect(fieldOf({ a: MEGABYTE }, { stages: [MEGABYTE, MEGABYTE] })).toBe('a');
});

test('the largest field is found in one reading, however deep it is', () => {
  const text = MEGABYTE + MEGABYTE + MEGABYTE;
  const deep = Array.from({ length: 60 }).reduce<JsonObject>((inner) => ({ in: inner, beside: [1] }), { text });
  const stringify = vi.spyOn(JSON, 'stringify');
  try {
    expect(fieldOf({ deep })).toBe(`deep${'.in'.repeat(60)}.text`);
    const made = stringify.mock.results.reduce((sum, { value }) => sum + String(value).length, 0);
    expect(made).toBeLessThan(4 * text.length);
  } finally {
    stringify.mockRestore();
  }
});

test('its bytes are those of its JSON', () => {
  const a: Json[] = ['ä"\n', '', 1.5e30, -0, null, true, [], {}, [[]]];
  const field = { a, '"ä': { b: MEGABYTE }, c: MEGABYTE, d: {}, e: MEGABYTE };
  const bytes = Buffer.byteLength(JSON.stringify(field));
  expect(() => refuseTooLarge({ field }, context())).toThrow(`the largest field is field, which has ${bytes} bytes`);
});

test('of the decisions of a resumed run the latest stay, as many as there is room for', () => {
  const decided = (bytes: number) => ({ approved: true, by: 'ada', about: 'f00', reason: 'x'.repeat(bytes) });
  const input = { a: MEGABYTE };
  const decisions = { first: decided(500_000), second: decided(400_000), third: decided(450_000), last: decided(10) };
  const whole = { ...context(), decisions } as unknown as RunContext;
  const fitting = withFittingDecisions(input, whole);
  expect(Object.keys(fitting.decisions ?? {})).toEqual(['second', 'third', 'last']);
  expect(() => refuseTooLarge(input, fitting)).not.toThrow();
  expect(withFittingDecisions({}, whole).decisions).toEqual(decisions);
  const none = withFittingDecisions({ a: MEGABYTE + MEGABYTE + MEGABYTE }, whole);
  expect([none, Object.keys(none)]).toEqual([context(), Object.keys(context())]);
});
