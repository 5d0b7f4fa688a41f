import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readRunInput } from '../../../../gateway/agui/run-input.js';
import { readMessagesRequest } from '../../../../gateway/anthropic/messages-request.js';
import { checkedInput } from '../../../../gateway/input/first-mistakes.js';
import { inputForm } from '../../../../gateway/input/input-form.js';
import { readChatRequest } from '../../../../gateway/openai/chat-request.js';
import { readResponsesRequest } from '../../../../gateway/openai/responses-request.js';
import { pipeline } from '../../../../pipelines/index.js';

let texts = 0;
afterEach(() => {
  z.config({ customError: undefined });
});

/** Counts the texts that zod makes for mistakes. */
function countTexts(): void {
  texts = 0;
  z.config({
    customError: () => {
      texts += 1;
      return undefined;
    },
  });
}

describe('the issues of an input', () => {
  const schema = z.object({
    list: z.array(z.union([z.string(), z.number(), z.object({ a: z.string() })])),
    named: z.string('must be a name').optional(),
    short: z.string().max(3).optional(),
  });

  it('have texts as far as a refusal names them, and none for those of alternatives', () => {
    const given = { list: Array(500).fill(true) };
    countTexts();
    const { issues, more } = checkedInput(schema, given, 502);
    expect([issues?.length, more, texts]).toEqual([20, 480, 20]);
    expect(issues?.[19]).toMatchObject({ path: ['list', 19], message: 'Invalid input' });
  });

  it.each<[unknown]>([
    [{ list: ['a', 1, { a: 'x' }], short: 'abc' }],
    [{ list: ['a', true] }],
    [{ list: [{ a: 1 }], named: 1, short: 'abcd' }],
    [{}],
    [null],
  ])('are those that zod finds, with the same texts: %j', (value) => {
    const { data, issues } = checkedInput(schema, value);
    const zods = schema.safeParse(value);
    const shown = (all: readonly z.core.$ZodIssue[] | undefined) =>
      all?.map(({ path, message }) => ({ path, message }));
    expect([data, shown(issues)]).toEqual([zods.data, shown(zods.error?.issues)]);
  });
});

const tagged = (tag: string) => z.object({ type: z.literal(tag), text: z.string() });

describe('of a large input of which nothing fits', () => {
  const MANY = 50_000;
  let looks = 0;
  /** A list that counts how many of its items are looked at. */
  const listed = (item: unknown) => {
    looks = 0;
    return new Proxy(Array(MANY).fill(item), {
      get(list, key, self) {
        if (typeof key === 'string' && /^\d+$/.test(key)) looks += 1;
        return Reflect.get(list, key, self);
      },
    });
  };

  it.each<[string, z.ZodType, unknown]>([
    ['of one type', z.string(), 1],
    ['of alternatives', z.union([z.string(), z.number(), tagged('a')]), true],
    ['of kinds of objects', z.union([tagged('a'), tagged('b')]), { type: 'c' }],
    ['of kinds that are told apart', z.discriminatedUnion('type', [tagged('a'), tagged('b')]), { type: 'c' }],
    ['of such kinds with a wrong field', z.discriminatedUnion('type', [tagged('a'), tagged('b')]), { type: 'a' }],
    ['of lists', z.array(z.string()), [1]],
  ])('the first item is looked at and named: a list %s', (_, item, wrong) => {
    const { issues, more } = checkedInput(z.object({ list: z.array(item) }), { list: listed(wrong) }, MANY + 2);
    expect([issues?.length, issues?.[0]?.path.slice(0, 2), more]).toEqual([1, ['list', 0], 0]);
    expect(looks).toBe(1);
  });

  it('alternatives are each asked about the first item only, where they are lists', () => {
    const schema = z.object({ list: z.union([z.array(z.string()), z.array(z.number()), z.array(z.null())]) });
    expect(checkedInput(schema, { list: listed(true) }, MANY + 2).issues).toHaveLength(1);
    expect(looks).toBe(3);
  });

  it.each<[string, z.ZodType]>([
    ['itself', z.array(z.string().max(3))],
    ['that may be left out', z.array(z.string().max(3)).min(1).optional()],
    ['with a default', z.array(z.string().max(3)).default(() => [])],
    ['that is converted', z.array(z.email()).transform((all) => all.length)],
    ['that is prepared', z.preprocess((given) => given, z.array(z.string().max(3)))],
    ['that is an alternative', z.union([z.null(), z.array(z.string().regex(/^x/))])],
    ['of alternatives', z.array(z.union([z.number(), z.string().max(3)]))],
    ['of what a function refuses', z.array(z.string().refine((text) => text === ''))],
  ])('the first item that breaks a rule is named, and no other is looked at: a list %s', (_, list) => {
    const { issues } = checkedInput(z.object({ list }), { list: listed('abcd') }, MANY + 2);
    expect(issues?.[0]?.path[0]).toBe('list');
    expect(looks).toBe(1);
  });

  it('so it is of a list within the items of another one, and of a schema that contains itself', () => {
    const tree = z.object({
      name: z.string().max(3),
      get inner(): z.ZodOptional<z.ZodArray<z.ZodType>> {
        return z.array(tree as z.ZodType).optional();
      },
    });
    const item = { name: 'abcd' };
    const given = { name: 'a', inner: [{ name: 'b', inner: [{ name: 'c', inner: listed(item) }] }] };
    const { issues } = checkedInput(tree, given, MANY + 10);
    expect(issues?.map(({ path }) => path.join('.'))).toEqual(['inner.0.inner.0.inner.0.name']);
    expect(looks).toBe(1);
  });

  /** An object that counts how many of its fields are looked at. */
  const recorded = (field: unknown, right: readonly unknown[] = []) => {
    looks = 0;
    const all = [...right, ...Array(MANY - right.length).fill(field)];
    return new Proxy(Object.fromEntries(all.map((each, i) => [`k${i}`, each])), {
      get(object, key, self) {
        if (typeof key === 'string' && /^k\d+$/.test(key)) looks += 1;
        return Reflect.get(object, key, self);
      },
    });
  };
  const numbers = z.record(z.string(), z.number());

  it.each<[string, z.ZodType, unknown]>([
    ['of one type', numbers, 'x'],
    ['that break a rule', z.record(z.string(), z.string().max(3)), 'abcd'],
    ['of alternatives', z.record(z.string(), z.union([z.number(), z.null()])), 'x'],
    ['of kinds that are told apart', z.record(z.string(), z.discriminatedUnion('type', [tagged('a')])), { type: 'b' }],
    ['of records', z.record(z.string(), numbers), { a: 'x', b: 'x' }],
    ['of lists', z.record(z.string(), z.array(z.string().max(3))), ['abcd', 'abcd']],
    ['whose names do not fit', z.record(z.string().regex(/^x/), z.unknown()), 1],
    ['that may be left out', numbers.optional(), 'x'],
    ['that is converted', numbers.transform((all) => Object.keys(all)), 'x'],
    ['that has a rule of its own', numbers.refine((all) => Object.keys(all).length > 3), 'x'],
  ])('the first field is looked at and named: a record %s', (_, all, wrong) => {
    const { issues, more } = checkedInput(z.object({ all }), { all: recorded(wrong) }, MANY + 2);
    expect([issues?.length, issues?.[0]?.path.slice(0, 2), more]).toEqual([1, ['all', 'k0'], 0]);
    expect(looks).toBe(1);
  });

  it('alternatives are each asked about the first field only, where they are records', () => {
    const all = z.union([numbers, z.record(z.string(), z.null()), z.record(z.string(), z.array(z.string()))]);
    expect(checkedInput(z.object({ all }), { all: recorded(true) }, MANY + 2).issues).toHaveLength(1);
    expect(looks).toBe(3);
  });

  it('few fields of a record are looked at behind those that fit', () => {
    const { issues, more } = checkedInput(z.object({ all: numbers }), { all: recorded('x', Array(100).fill(1)) }, MANY);
    expect(issues?.[0]?.path).toEqual(['all', 'k100']);
    expect((issues?.length ?? 0) + (more ?? 0)).toBeLessThanOrEqual(32);
    expect(looks).toBeLessThan(140);
  });

  it('so it is of a record within records, of a schema that contains itself', () => {
    const tree = z.object({
      name: z.string().max(3),
      get inner(): z.ZodOptional<z.ZodRecord<z.ZodString, z.ZodType>> {
        return z.record(z.string(), tree as z.ZodType).optional();
      },
    });
    const third = { name: 'c', inner: recorded({ name: 'abcd' }) };
    const given = { name: 'a', inner: { x: { name: 'b', inner: { y: third } } } };
    const { issues } = checkedInput(tree, given, MANY + 10);
    expect(issues?.map(({ path }) => path.join('.'))).toEqual(['inner.x.inner.y.inner.k0.name']);
    expect(looks).toBe(1);
  });

  it('each value is checked once by a schema of alternatives that contains itself, however deep it is', () => {
    let checks = 0;
    const leaf = z.number().refine(() => {
      checks += 1;
      return true;
    });
    type Nested = z.ZodObject<{ a: z.ZodType; leaf: z.ZodOptional<typeof leaf> }>;
    const nested: Nested = z.object({
      get a(): z.ZodType {
        return z.union([others, z.record(z.string(), nested)]).optional();
      },
      leaf: leaf.optional(),
    });
    const others: z.ZodType = z.record(z.string(), nested.extend({ missing: z.string() }));
    let value: object = { leaf: 1 };
    for (let depth = 0; depth < 12; depth++) value = { a: { x: value } };
    expect(checkedInput(nested, value, 5_000).data).toEqual(value);
    expect(checks).toBeLessThan(30);
  });

  const forty = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`k${i}`, i]));

  it.each<[string, z.ZodType, unknown]>([
    ['that fits', numbers, forty],
    ['that is empty', numbers, {}],
    ['with a wrong field', numbers, { ...forty, k3: 'x', k30: 'x' }],
    ['that is none', numbers, [1]],
    ['that is missing', numbers, undefined],
    ['with a text of its own', z.record(z.string(), z.number(), 'must be a table'), 1],
    ['whose names are converted', z.record(z.string().toUpperCase(), z.number()), forty],
    ['whose names are numbers', z.record(z.coerce.number(), z.string()), { 1: 'a', 2: 'b' }],
    ['whose names are wrong', z.record(z.string().max(2), z.number()), forty],
    ['whose names are listed', z.record(z.enum(['a', 'b']), z.array(z.string().max(3))), { a: ['x'], b: ['y'] }],
    ['that lacks a listed one', z.record(z.enum(['a', 'b']), z.number()), { a: 1 }],
    ['some of whose names are listed', z.partialRecord(z.enum(['a', 'b']), z.number()), { a: 1 }],
    ['with other names', z.looseRecord(z.string().regex(/^k1/), z.number()), { ...forty, other: 'x' }],
    ['that as a whole fits', numbers.refine((all) => Object.keys(all).length === 40), forty],
    ['that as a whole does not fit', numbers.refine((all) => Object.keys(all).length > 40, 'few'), forty],
    ['of records with defaults', z.record(z.string(), z.object({ a: z.number().default(1) })), { x: {}, y: { a: 2 } }],
    ['with a name that objects have', numbers, JSON.parse('{"__proto__": 1, "a": 2}')],
    [
      'that another schema completes',
      z.intersection(z.record(z.literal('a'), z.number()), z.object({ b: z.null() })),
      { a: 1, b: null },
    ],
  ])('a record %s gives what Zod gives', (_, schema, value) => {
    const { data, issues } = checkedInput(z.object({ all: schema }), { all: value }, 5_000);
    const zods = z.object({ all: schema }).safeParse({ all: value });
    expect(data).toEqual(zods.data);
    const [first] = zods.error?.issues ?? [];
    expect(issues?.[0]).toEqual(first && expect.objectContaining({ path: first.path, message: first.message }));
  });

  it('one of few values has all its mistakes named', () => {
    const schema = z.object({ a: z.string(), b: z.string(), c: z.array(z.string()) });
    const { issues } = checkedInput(schema, { a: 1, b: 2, c: [3, 4] }, 7);
    expect(issues?.map(({ path }) => path.join('.'))).toEqual(['a', 'b', 'c.0', 'c.1']);
  });

  let defaults = 0;
  const whole = z
    .object({
      list: z.array(z.union([tagged('a'), z.coerce.number()])).max(3),
      named: z.string().default('n'),
      tags: z.array(z.string()).default(() => [String(++defaults)]),
      texts: z.array(z.string().trim()).nullish(),
      kinds: z
        .array(z.discriminatedUnion('type', [tagged('a'), tagged('b').extend({ all: z.array(z.int()) })]))
        .optional(),
      set: z
        .array(z.string())
        .transform((all) => new Set(all))
        .optional(),
      strict: z.strictObject({ list: z.array(z.null()) }).optional(),
    })
    .refine(({ list }) => list.length !== 2, { path: ['list'], message: 'two' });

  it.each<[unknown]>([
    [{ list: [{ type: 'a', text: 'x', other: 1 }, '3', 4] }],
    [{ list: [], texts: [' a ', 'b'], tags: ['x'], set: ['a', 'a'] }],
    [{ list: [1], texts: null, kinds: [{ type: 'b', text: 'x', all: [1], more: 2 }], strict: { list: [null] } }],
    [{ list: [1, 2] }],
    [{ list: [1, 2, 3, 4] }],
    [{ list: [1], kinds: [{ type: 'b', text: 'x', all: [1.5] }] }],
    [{ list: [1], strict: { list: [], other: 1 } }],
    [{ list: [{}] }],
    [{}],
    [null],
  ])('and fits where a small one does, with the same result: %j', (given) => {
    const small = whole.safeParse(given);
    const large = checkedInput(whole, given, 5_000);
    const same = (data: object | undefined) => data && { ...data, tags: undefined };
    expect(same(large.data)).toEqual(same(small.data));
    const [first] = small.error?.issues ?? [];
    expect(large.issues?.[0]).toEqual(first && expect.objectContaining({ path: first.path, message: first.message }));
  });

  it('a default is made for each', () => {
    const tagsOf = () => checkedInput(whole, { list: [1] }, 5_000).data?.tags;
    expect(tagsOf()).not.toEqual(tagsOf());
  });
});

it('an input is refused by its form as soon as it is large', () => {
  const form = inputForm(
    pipeline('listing', { input: z.object({ list: z.array(z.string()), named: z.string() }) }, ({ input }) => ({
      named: input.named,
    })),
  );
  const refusal = (list: readonly number[]) => {
    try {
      form.parse({ list: [...list] });
    } catch (error) {
      return String(error);
    }
    return '';
  };
  expect(refusal([1, 2])).toMatch(/list\.0: .*list\.1: .*named: is required/);
  expect(refusal(Array(5_000).fill(1))).toMatch(/list\.0: [^;]*$/);
});

const nothing = Array.from({ length: 20_000 }, () => ({}));
const of = (role: string, content: unknown) => [{ role, content }];

it.each<[string, () => unknown, RegExp]>([
  ['chat completions', () => readChatRequest({ model: 'm', messages: nothing } as never), /^messages\[0\]/],
  [
    'a message’s parts',
    () => readChatRequest({ model: 'm', messages: of('user', nothing) } as never),
    /^messages\[0\]\.content\[0\]/,
  ],
  [
    'its tools',
    () => readChatRequest({ model: 'm', messages: of('user', 'x'), tools: nothing } as never),
    /^tools\[0\]/,
  ],
  ['responses', () => readResponsesRequest({ model: 'm', input: of('user', nothing) } as never), /^input\[0\]/],
  [
    'messages',
    () => readMessagesRequest({ model: 'm', max_tokens: 1, messages: of('user', nothing) } as never),
    /^messages\[0\]/,
  ],
  ['AG-UI', () => readRunInput({ threadId: 't', runId: 'r', messages: of('user', nothing) } as never), /^messages\.0/],
])('a list of %s of which nothing fits is refused at its first item', (_, read, field) => {
  countTexts();
  expect(read).toThrow(field);
  expect(texts).toBeLessThan(50);
});
