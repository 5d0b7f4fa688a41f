import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { z } from 'zod';
import { SEGMENTS } from '../../../../cli/graph.js';
import { pipelines } from '../../../../pipelines/catalog/index.js';
import {
  agent,
  and,
  approve,
  chat,
  code,
  either,
  eq,
  gte,
  has,
  not,
  or,
  type Pipeline,
  pipeline,
  size,
  tool,
} from '../../../../pipelines/index.js';
import { svg } from '../../../../pipelines/inspect/index.js';
import { everything } from './everything.js';

interface Box {
  readonly text: string;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** The texts of a picture with their places, and its boxes: a reader of its own, for the few elements that it has. */
function partsOf(picture: string): {
  readonly texts: Box[];
  readonly boxes: Box[];
  readonly width: number;
  readonly height: number;
} {
  const [, width = 0, height = 0] = /viewBox="0 0 (\d+) (\d+)"/.exec(picture) ?? [];
  const texts: Box[] = [];
  const boxes: Box[] = [];
  const at: { x: number; y: number }[] = [{ x: 0, y: 0 }];
  const found =
    /<g transform="translate\(([-\d.]+) ([-\d.]+)\)">|<\/g>|<text([^>]*)>([^<]*)<\/text>|<rect class="(\w+)"([^>]*)\/>/g;
  for (const [whole, dx, dy, attributes = '', escaped = '', style, size = ''] of picture.matchAll(found)) {
    const now = at.at(-1) ?? { x: 0, y: 0 };
    if (whole === '</g>') at.pop();
    else if (dx !== undefined) at.push({ x: now.x + Number(dx), y: now.y + Number(dy) });
    else if (style !== undefined) {
      const [wide, tall] = [/width="([\d.]+)"/.exec(size)?.[1], /height="([\d.]+)"/.exec(size)?.[1]];
      if (!['ground', 'group', 'lane', 'segment'].includes(style))
        boxes.push({ text: style, left: now.x, right: now.x + Number(wide), top: now.y, bottom: now.y + Number(tall) });
    } else {
      const text = escaped.replace(/&\w+;/g, '_');
      const big = !/class="(small|label|mark)"/.test(attributes);
      // Wider than the mean of a sans-serif font.
      const wide = text.length * (big ? 7.6 : 6.4);
      const x = now.x + Number(/ x="([-\d.]+)"/.exec(attributes)?.[1]);
      const y = now.y + Number(/ y="([-\d.]+)"/.exec(attributes)?.[1]);
      const left = attributes.includes('"end"') ? x - wide : attributes.includes('"middle"') ? x - wide / 2 : x;
      texts.push({ text, left, right: left + wide, top: y - (big ? 12 : 10), bottom: y + 3 });
    }
  }
  return { texts, boxes, width: Number(width), height: Number(height) };
}

const overlap = (a: Box, b: Box): boolean =>
  a.left < b.right - 0.5 && b.left < a.right - 0.5 && a.top < b.bottom - 0.5 && b.top < a.bottom - 0.5;
const within = (a: Box, b: Box): boolean =>
  a.left >= b.left - 0.5 && a.right <= b.right + 0.5 && a.top >= b.top - 0.5 && a.bottom <= b.bottom + 0.5;

/** What is wrong in a picture: texts over texts, across the edge of a box, or outside. */
function wrongIn({ plan }: Pick<Pipeline, 'plan'>): string[] {
  const { texts, boxes, width, height } = partsOf(svg(plan, SEGMENTS));
  const canvas = { text: '', left: 0, top: 0, right: width, bottom: height };
  return texts.flatMap((one, i) => [
    ...texts.slice(i + 1).flatMap((other) => (overlap(one, other) ? [`"${one.text}" over "${other.text}"`] : [])),
    ...boxes.flatMap((box) => (overlap(one, box) && !within(one, box) ? [`"${one.text}" across a box`] : [])),
    ...(within(one, canvas) ? [] : [`"${one.text}" outside`]),
  ]);
}

const step = code(
  'step',
  {
    input: z.record(z.string(), z.unknown()),
    output: z.object({ value: z.string(), other_long_name: z.string(), flag: z.boolean() }),
  },
  () => ({
    value: '',
    other_long_name: '',
    flag: true,
  }),
);

/** Many fields from many sources into one stage. */
const busy = pipeline(
  'busy',
  { input: z.object(Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`field_number_${i}`, z.string()]))) },
  ({ input, stage }) => {
    const fields = input as unknown as Record<string, string>;
    const sources = Array.from({ length: 7 }, (_, i) =>
      stage(`source-${i}`, step, { of: fields[`field_number_${i}`] }),
    );
    const all = Object.fromEntries(
      sources.flatMap(({ value, other_long_name }, i) => [
        [`v${i}`, value],
        [`o${i}`, other_long_name],
      ]),
    );
    const end = stage('end', step, all);
    return { ...Object.fromEntries(sources.map(({ value }, i) => [`result_${i}`, value])), end: end.value };
  },
) as unknown as Pipeline;

const refund = tool({
  name: 'refund',
  description: 'Pays an order back',
  input: z.object({ order: z.string() }),
  approval: { timeout: '1h' },
  run: ({ order }) => order,
});

describe('the texts of a picture do not overlap', () => {
  it.each([...pipelines, everything, busy].map((each) => [each.name, each] as const))('in %s', (_, drawn) => {
    expect(wrongIn(drawn)).toEqual([]);
  });

  it('nor in generated pipelines', () => {
    const reads = fc.array(fc.nat({ max: 30 }), { minLength: 1, maxLength: 6 });
    const shape = fc.array(
      fc.record({ reads, kind: fc.constantFrom('stage', 'others', 'when', 'each', 'approve'), long: fc.boolean() }),
      {
        minLength: 1,
        maxLength: 12,
      },
    );
    fc.assert(
      fc.property(shape, (steps) => {
        expect(wrongIn(generated(steps))).toEqual([]);
      }),
      { numRuns: 150, seed: 7 },
    );
  });
});

interface GeneratedStep {
  readonly reads: readonly number[];
  readonly kind: string;
  readonly long: boolean;
}

function generated(steps: readonly GeneratedStep[]): Pipeline {
  const input = z.object({ a: z.string(), list: z.array(z.string()), a_field_with_a_long_name: z.string() });
  return pipeline('generated', { input, deadline: '1d' }, ({ input: given, stage, when, each }) => {
    const known: string[] = [given.a as unknown as string, given.a_field_with_a_long_name as unknown as string];
    for (const [i, { reads, kind, long }] of steps.entries()) {
      const id = long ? `a-step-with-a-long-name-${i}` : `s${i}`;
      const from = Object.fromEntries(reads.map((at, n) => [`f${n}`, known[at % known.length]]));
      const first = Object.values(from)[0] as string;
      if (kind === 'when') {
        const taken = when(
          id,
          or(eq(first, 'a rather long text to compare with'), not(has(given.a))),
          () => stage(`${id}-then`, step, from).value,
          () => first,
        );
        known.push(taken as unknown as string);
      } else if (kind === 'each') {
        each(id, given.list, (item) => stage(`${id}-in`, step, { ...from, item }).value);
      } else if (kind === 'approve') {
        stage(id, approve({ timeout: '1h' }), { subject: first });
      } else {
        const others = {
          degrade: [{ below: '5s' as const, to: 'skip' as const }],
          fallback: [chat({ model: 'a-model-with-a-long-name' })],
          optional: true as const,
        };
        const done =
          kind === 'others'
            ? either(stage(id, chat({ model: 'assistant' }), { prompt: first }, others).text, 'none')
            : stage(id, step, from).value;
        known.push(done as unknown as string);
      }
    }
    return { last: known.at(-1), first: known[2] ?? '', second: known[3] ?? '' };
  }) as unknown as Pipeline;
}

test('conditions, alternatives and approvals are drawn', () => {
  const drawn = pipeline(
    'drawn',
    { input: z.object({ q: z.string(), short: z.boolean() }), deadline: '2h' },
    ({ input, stage, when, repeat }) => {
      const asked = stage('ask', approve({ timeout: '30m', otherwise: true }), { subject: input.q });
      const answer = stage(
        'answer',
        chat({ model: 'assistant' }),
        { prompt: input.q },
        {
          degrade: [{ below: '2s', to: chat({ model: 'assistant', maxTokens: 8 }) }],
          fallback: [chat({ model: 'small' })],
          optional: true,
        },
      );
      const branch = when(
        'branch',
        and(asked.approved, or(input.short, gte(size(input.q), 3))),
        () => stage('more', step, { a: answer.text }).value,
      );
      const end = repeat('again', { v: input.q }, (state) => ({ v: stage('round', step, { v: state.v }).value }), {
        until: (state) => eq(state.v, 'done'),
        atMost: 3,
      });
      const desk = stage('desk', agent({ model: 'assistant', tools: [refund] }), { prompt: end.v });
      return { branch, text: desk.text };
    },
  );
  const { texts } = partsOf(svg(drawn.plan, SEGMENTS));
  const all = texts.map(({ text }) => text);
  for (const text of [
    'a person decides within 30m, else yes',
    'less than 2s left',
    'with maxTokens 8',
    'on failure',
    'chat · small',
    'if that fails',
    'nothing',
    'if ask.approved and (input.short or size of',
    'input.q ≥ 3)',
    'until state.v = _done_',
    'tools: refund (a person approves)',
  ]) {
    expect(all).toContain(text);
  }
  expect(wrongIn(drawn)).toEqual([]);
});
