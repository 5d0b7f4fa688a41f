import { describe, expect, it } from 'vitest';
import { agrees } from '../../../../activities/cache/agreement.js';

const means = {
  similarityOf: async () => 0.95,
  judge: async (): Promise<undefined> => expect.unreachable('no model is asked'),
};

describe('two answers', () => {
  it.each([
    ['It is -5 °C.', 'It is 5 °C.'],
    ['It is \u22125 °C.', 'It is 5 °C.'],
    ['A+', 'A-'],
    ['A-', 'A'],
    ['C#', 'C'],
    ['$5', '€5'],
    ['5 %', '5'],
    ['.5 mg', '5 mg'],
    ['1:5', '1.5'],
    ['5²', '52'],
    ['5!', '5'],
    ['5 Mb', '5 MB'],
    ['x < y', 'x > y'],
    ['(2+3)*4', '2+(3*4)'],
    ['{"a":-1}', '{"a":1}'],
    [':)', ':('],
    ['?', '...'],
    ['**', ''],
  ])('do not agree if a sign differs: %s, %s', async (a, b) => {
    expect(await agrees({ text: a }, { text: b }, undefined, means)).toBe(false);
  });

  it.each([
    ['It is **Paris**.', 'it is "Paris"'],
    ['- one\n- two', 'One, two'],
    ['# Paris\n\nIt is well-known.', 'Paris: it is well known'],
    ['It has (about) 300 m.', 'it has about 300 m'],
    ['In 2024. The end', 'in 2024 the end'],
    [':)', ' :)\n'],
    ['', ' '],
  ])('agree if only marks differ: %s', async (a, b) => {
    expect(await agrees({ text: a }, { text: b }, undefined, means)).toBe(true);
  });

  it('agree by similarity only with the same signs of their numbers', async () => {
    const rule = { by: 'similarity', atLeast: 0.9 } as const;
    expect(await agrees({ text: 'It has -5 degrees.' }, { text: '5 degrees' }, rule, means)).toBe(false);
    expect(await agrees({ text: 'Take .5 mg.' }, { text: '5 mg' }, rule, means)).toBe(false);
  });

  it('agree by fields only if they have one of them', async () => {
    const rule = { by: 'fields', fields: ['label'] } as const;
    expect(await agrees({ lable: 'a' }, { lable: 'b' }, rule, means)).toBe(false);
  });

  it('agree only with the same calls of tools, whatever their ids', async () => {
    const reply = (id: string, to: string) => ({
      text: 'I look it up.',
      toolCalls: [{ id, name: 'look', arguments: { to } }],
    });
    for (const rule of [undefined, { by: 'similarity', atLeast: 0.9 }, { by: 'model', model: 'm' }] as const) {
      expect(await agrees(reply('1', 'Rome'), reply('2', 'Rome'), rule, means)).toBe(true);
      expect(await agrees(reply('1', 'Rome'), reply('1', 'Paris'), rule, means)).toBe(false);
      expect(await agrees(reply('1', 'Rome'), { text: 'I look it up.' }, rule, means)).toBe(false);
    }
  });
});
