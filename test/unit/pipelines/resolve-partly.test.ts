import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Json } from '../../../pipelines/json.js';
import { type Binding, resolve, resolvePartly } from '../../../pipelines/plan/index.js';

const values = new Map<string, Json>([
  ['input', { a: 1, b: 'two', none: null }],
  ['made/item', { a: 'held', deep: { b: [1, 2] } }],
  ['other/item', 'text'],
]);
const held = (source: string) => source.endsWith('/item');
const known = { get: (source: string) => (held(source) ? undefined : values.get(source)) };
const rest = { get: (source: string) => (held(source) ? values.get(source) : undefined) };

const refs = [
  'input',
  'input.a',
  'input.none.x',
  'input.absent',
  'made/item',
  'made/item.deep.b',
  'other/item',
  'made/item.absent',
];
/** Half of the operators may give nothing. */
const marks = fc.constantFrom<{ absent?: true }>({}, { absent: true });
const bindings: fc.Arbitrary<Binding> = fc.letrec<{ binding: Binding }>((tie) => ({
  binding: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom<Binding>(0, 'x', true, null, { $const: { $ref: 'made/item' } }),
    fc.constantFrom(...refs).map((path): Binding => ({ $ref: path })),
    fc.array(tie('binding'), { maxLength: 3 }),
    fc.array(tie('binding'), { maxLength: 3 }).map((parts): Binding => ({ $text: parts })),
    fc
      .tuple(tie('binding'), tie('binding'), marks)
      .map(([a, b, mark]): Binding => ({ $op: 'either', of: [a, b], ...mark })),
    fc
      .tuple(tie('binding'), fc.constantFrom('a', 'x', 'absent'), marks)
      .map(([a, key, mark]): Binding => ({ $op: 'get', of: [a, key], ...mark })),
    fc.dictionary(fc.constantFrom('x', 'y', 'z'), tie('binding'), { maxKeys: 3 }),
  ),
})).binding;

it('evaluates a binding in two steps as in one, wherever a source is known', () => {
  fc.assert(
    fc.property(bindings, (binding) => {
      // Through JSON, as on its way to a worker.
      const partly = JSON.parse(JSON.stringify(resolvePartly(binding, known, held))) as Binding;
      expect(resolve(partly, rest)).toEqual(resolve(binding, { get: (source) => values.get(source) }));
    }),
  );
});

it('leaves nothing but what is held', () => {
  const binding = { text: { $text: [{ $ref: 'input.b' }, ' ', { $ref: 'made/item.a' }] }, n: { $ref: 'input.a' } };
  expect(resolvePartly(binding, known, held)).toEqual({
    text: { $text: [{ $const: 'two' }, { $const: ' ' }, { $ref: 'made/item.a' }] },
    n: { $const: 1 },
  });
});

it('keeps what is absent for the worker only where the plan says so, and gives it null elsewhere, as 0.3.0 did', () => {
  const of: Binding = [{ $ref: 'made/item.absent' }, { $ref: 'input.absent' }];
  const null03: Binding = { $op: 'either', of: [{ $ref: 'made/item.absent' }, { $const: null }] };
  expect(resolvePartly({ x: { $op: 'either', of } }, known, held)).toEqual({ x: null03 });
  const marked = resolvePartly({ x: { $op: 'either', of, absent: true } }, known, held);
  expect(resolve(marked, rest)).toEqual({});
});
