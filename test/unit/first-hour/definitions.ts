/** A mistake in a module of pipelines, and what its author is told where. */
export interface Mistake {
  readonly mistake: string;
  /** Lines of a definition's body, from line 3 of the module on. */
  readonly body?: string;
  /** A module instead, from line 2 on. */
  readonly module?: string;
  /** Part of the compiler's message. */
  readonly types?: string;
  /** The error when the module is loaded. */
  readonly definition?: string;
  /** A line of `millrace validate`. */
  readonly validate?: string;
}

/** What every module of the table imports and defines, on one line. */
export const prelude = (millrace: string, zod: string): string =>
  [
    `import * as m from '${millrace}'`,
    `import { agent, approve, chat, code, embed, eq, pipeline, semantic, text, transcribe } from '${millrace}'`,
    `import { z } from '${zod}'`,
    'const inText = { input: z.object({ text: z.string() }), output: z.object({ text: z.string() }) }',
    "const shout = code('shout', inText, ({ text }) => ({ text: text.toUpperCase() }))",
    "const ask = chat({ model: 'assistant' })",
    'const INPUT = { text: z.string(), count: z.number(), flag: z.boolean(), words: z.array(z.string()), hint: z.string().optional() }',
    'void [m, agent, approve, embed, eq, semantic, text, transcribe, shout, ask]',
  ].join('; ');

export const sourceOf = ({ body, module = '' }: Mistake): string =>
  body === undefined
    ? module
    : `export const p = pipeline('p', { input: z.object(INPUT) }, ({ input, stage, when, each, repeat, race, run }) => {
${body}
});`;

/** References where JavaScript expects values. */
const REFERENCES: readonly Mistake[] = [
  {
    mistake: 'a misspelled field of a stage’s output',
    body: "const a = stage('a', shout, { text: input.text }); return { x: a.txt };",
    types: "Property 'txt' does not exist on type",
    definition: '',
  },
  {
    mistake: 'a misspelled field of the input',
    body: 'return { x: input.hnit };',
    types: "Property 'hnit' does not exist on type",
    definition: '',
  },
  {
    mistake: 'a missing field of a stage’s input',
    body: "return { x: stage('a', shout, {}).text };",
    types: "Property 'text' is missing in type '{}'",
    definition: '',
  },
  {
    mistake: 'a misspelled field of a stage’s input',
    body: "return { x: stage('a', ask, { promt: input.text }).text };",
    types: "'promt' does not exist in type",
    definition: '',
  },
  {
    mistake: 'a number where text is needed',
    body: "return { x: stage('a', shout, { text: input.count }).text };",
    types: "is not assignable to type 'Bind<string>'",
    definition: '',
  },
  {
    mistake: 'a value that may be absent',
    body: "return { x: stage('a', shout, { text: input.hint }).text };",
    types: "is not assignable to type 'Bind<string>'",
    definition: '',
  },
  {
    mistake: 'a reference in a plain template string',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source
    body: "return { x: stage('a', shout, { text: `Say ${input.text}` }).text };",
    definition: '',
  },
  {
    mistake: 'arithmetic with a reference',
    body: 'return { x: (input.count as never as number) + 1 };',
    definition: '',
  },
  {
    mistake: '`if` on a reference',
    body: "if (input.flag) return { x: stage('a', shout, { text: input.text }).text };\nreturn { x: input.text };",
    validate: '',
  },
  { mistake: 'a choice by `? :`', body: "return { x: input.flag ? 'yes' : 'no' };", validate: '' },
  { mistake: '`!` before a reference', body: 'return { x: !input.flag };', validate: '' },
  {
    mistake: '`&&` with a reference',
    body: "return { x: input.flag && stage('a', shout, { text: input.text }).text };",
    validate: '',
  },
  {
    mistake: '`switch` on a reference',
    body: 'switch (input.text) { default: return { x: input.text }; }',
    validate: '',
  },
  {
    mistake: 'a reference compared by `===`',
    body: "return { x: (input.text as unknown) === 'x' };",
    validate: '',
  },
  { mistake: 'a default by `??`', body: "return { x: input.hint ?? 'none' };", validate: '' },
  { mistake: 'a default by `||`', body: "return { x: input.hint || 'none' };", validate: '' },
  {
    mistake: 'a default in a destructured input',
    body: "const { hint = 'none' } = input as never as { hint?: string }; return { x: hint };",
    validate: '',
  },
  {
    mistake: 'the length of a list',
    body: 'return { x: input.words.length };',
    types: "Property 'length' does not exist on type",
    definition: '',
  },
  {
    mistake: '`map` on a list',
    body: 'return { x: input.words.map((word: string) => word) };',
    types: "Property 'map' does not exist on type",
    definition: '',
  },
  {
    mistake: '`filter` on a list',
    body: "return { x: input.words.filter((word: string) => word !== '') };",
    types: "Property 'filter' does not exist on type",
    definition: '',
  },
  {
    mistake: 'a `for` loop over a list',
    body: 'for (const word of input.words) return { word };\nreturn {};',
    types: "must have a '[Symbol.iterator]()' method",
    definition: '',
  },
  {
    mistake: 'a list that is spread',
    body: 'return { x: [...input.words] };',
    types: "must have a '[Symbol.iterator]()' method",
    definition: '',
  },
  {
    mistake: 'a method of text',
    body: 'return { x: input.text.toUpperCase() };',
    types: "Property 'toUpperCase' does not exist on type",
    definition: '',
  },
  { mistake: 'JSON.stringify of a reference', body: 'return { x: JSON.stringify(input) };', definition: '' },
  {
    mistake: 'a Date from a reference',
    body: 'return { x: new Date(input.text).getTime() };',
    types: 'No overload matches this call',
    definition: '',
  },
  { mistake: '`in` on a reference', body: "return { x: 'hint' in input };", definition: '' },
  {
    mistake: 'a field of the input that is set',
    body: "input.text = 'x'; return { x: input.text };",
    types: "Cannot assign to 'text' because it is a read-only property",
    definition: '',
  },
  {
    mistake: 'another pipeline’s reference',
    module:
      "let other: unknown;\npipeline('first', { input: z.object(INPUT) }, ({ input }) => { other = input.text; return {}; });\nexport const p = pipeline('p', { input: z.object(INPUT) }, () => ({ x: other }));",
    definition: '',
  },
  {
    mistake: 'a stage of a branch, read outside it',
    body: "let inside: unknown;\nwhen('w', input.flag, () => { inside = stage('a', shout, { text: input.text }).text; return inside; });\nreturn { x: inside };",
    definition: '',
  },
];

/** The definition as a program that runs. */
const DEFINITIONS: readonly Mistake[] = [
  {
    mistake: 'an async definition with `await stage()`',
    module:
      "export const p = pipeline('p', { input: z.object(INPUT) }, async ({ input, stage }) => {\n  const a = await stage('a', shout, { text: input.text });\n  return { x: a.text };\n});",
    types: 'A definition is traced when it is loaded and must not be async: remove async and await',
    definition: '',
  },
  {
    mistake: 'an async body of `each`',
    body: "return { x: each('e', input.words, async (word) => stage('a', shout, { text: word }).text) };",
    types: 'A definition is traced when it is loaded and must not be async: remove async and await',
    definition: '',
  },
  { mistake: 'Date.now() in a definition', body: 'return { at: Date.now(), x: input.text };', validate: '' },
  {
    mistake: 'new Date() in a definition',
    body: 'return { at: new Date().toISOString(), x: input.text };',
    validate: '',
  },
  { mistake: 'Math.random() in a definition', body: 'return { at: Math.random(), x: input.text };', validate: '' },
  {
    mistake: 'an environment variable in a definition',
    body: "return { x: stage('a', chat({ model: process.env.MODEL ?? 'assistant' }), { prompt: input.text }).text };",
    validate: '',
  },
  {
    mistake: 'try … catch around a stage',
    body: "try {\n  return { x: stage('a', shout, { text: input.text }).text };\n} catch {\n  return { x: 'failed' };\n}",
    validate: '',
  },
  {
    mistake: 'a reference used inside a function of a stage',
    body: "const own = code('own', inText, ({ text }) => ({ text: text + String(input.count) }));\nreturn { x: stage('a', own, { text: input.text }).text };",
    validate: '',
  },
  {
    mistake: 'a counter outside a function',
    module:
      "let count = 0;\nconst counted = code('counted', inText, ({ text }) => { count += 1; return { text: text + count }; });\nexport const p = pipeline('p', { input: z.object(INPUT) }, ({ input, stage }) => ({ x: stage('a', counted, { text: input.text }).text }));",
    validate: '',
  },
  { mistake: 'a definition that returns nothing', body: "stage('a', shout, { text: input.text });", definition: '' },
  {
    mistake: 'a definition that returns a stage',
    body: "return stage('a', shout, { text: input.text });",
    definition: '',
  },
  { mistake: 'a definition that returns a list', body: 'return [input.text];', definition: '' },
  { mistake: 'a definition that returns a Date', body: 'return { at: new Date(0) };', definition: '' },
  {
    mistake: 'two stages of one id',
    body: "stage('a', shout, { text: input.text });\nreturn { x: stage('a', shout, { text: input.text }).text };",
    definition: '',
  },
  {
    mistake: 'an id with odd characters',
    body: "return { x: stage('Say it!', shout, { text: input.text }).text };",
    definition: '',
  },
  {
    mistake: 'a stage that is added when a function runs later',
    module:
      "let later: () => unknown = () => 0;\nexport const p = pipeline('p', { input: z.object(INPUT) }, ({ input, stage }) => {\n  later = () => stage('a', shout, { text: input.text });\n  return { x: input.text };\n});\nlater();",
    definition: '',
  },
  {
    mistake: 'a stage whose output nobody reads',
    body: "stage('a', ask, { prompt: input.text }); return { x: input.text };",
    validate: '',
  },
  { mistake: 'a field of the input that nobody reads', body: 'return { x: input.text };', validate: '' },
  {
    mistake: 'an input that is no object',
    module: "export const p = pipeline('p', { input: z.string() as never }, () => ({}));",
    definition: '',
  },
  {
    mistake: 'a Date in the input',
    module: "export const p = pipeline('p', { input: z.object({ at: z.date() }) }, () => ({}));",
    definition: '',
  },
  {
    mistake: 'a Date in a function’s output',
    module: "code('clock', { input: z.object({}), output: z.object({ at: z.date() }) }, () => ({ at: new Date() }));",
    definition: '',
  },
  {
    mistake: 'a transform in a function’s output',
    module:
      "code('size', { input: z.object({}), output: z.object({ n: z.string().transform((text) => text.length) }) }, () => ({ n: 1 }));",
    definition: '',
  },
  {
    mistake: 'a Map in a function’s output',
    module:
      "code('table', { input: z.object({}), output: z.object({ rows: z.map(z.string(), z.number()) }) }, () => ({ rows: new Map() }));",
    definition: '',
  },
  {
    mistake: 'code() without a function',
    module: "code('nothing', inText, undefined as never);",
    definition: '',
  },
  {
    mistake: 'a stage kind that is not called',
    body: "return { x: stage('a', chat as never, { prompt: input.text } as never) };",
    definition: '',
  },
];

/** Options of stages and pipelines. */
const staged = (options: string, use = 'ask', given = '{ prompt: input.text }'): string =>
  `return { x: stage('a', ${use}, ${given}, ${options}).text };`;
const OPTIONS: readonly Mistake[] = [
  {
    mistake: 'a duration in words',
    body: staged("{ timeout: { attempt: '5 sec' } }"),
    types: "Type '\"5 sec\"' is not assignable to type 'Duration | undefined'",
    definition: '',
  },
  {
    mistake: 'a duration without a unit',
    body: staged("{ timeout: { attempt: '5' } }"),
    types: "Type '\"5\"' is not assignable to type 'Duration | undefined'",
    definition: '',
  },
  { mistake: 'a negative duration', body: staged('{ timeout: { attempt: -5 } }'), definition: '' },
  {
    mistake: 'a misspelled option of a stage',
    body: staged("{ timout: { attempt: '5s' } }"),
    types: "'timout' does not exist in type",
    definition: '',
  },
  {
    mistake: 'a misspelled part of a policy',
    body: staged('{ retry: { attemps: 3 } }'),
    types: "'attemps' does not exist in type",
    definition: '',
  },
  {
    mistake: 'a misspelled option of a pipeline',
    module: "export const p = pipeline('p', { input: z.object(INPUT), dedline: '1m' }, () => ({}));",
    types: "'dedline' does not exist in type",
    definition: '',
  },
  {
    mistake: 'a hedge of a function',
    body: staged("{ hedge: { after: '1s' } }", 'shout', '{ text: input.text }'),
    types: 'This applies only to stages that a model server serves: remove it',
    definition: '',
  },
  {
    mistake: 'a first-chunk timeout of a function',
    body: staged("{ timeout: { firstChunk: '1s' } }", 'shout', '{ text: input.text }'),
    types: 'This applies only to stages that a model server serves: remove it',
    definition: '',
  },
  {
    mistake: 'a cache of an agent',
    body: staged('{ cache: semantic({ key: input.text }) }', "agent({ model: 'assistant' })"),
    types: 'An agent has no cache, because its tools may have effects: remove it',
    definition: '',
  },
  {
    mistake: 'a retry of an approval',
    body: "return { x: stage('a', approve({ timeout: '1m' }), { subject: input.text }, { retry: { attempts: 2 } }).by };",
    types: 'This does not apply to a stage that waits for a person: remove it',
    definition: '',
  },
  {
    mistake: 'a cached rung without a cache',
    body: staged("{ degrade: [{ below: '5s', to: 'cached' }] }"),
    definition: '',
  },
  {
    mistake: 'a retry of an unknown code',
    body: staged("{ retry: { on: ['BACKEND_OVERLOAD'] } }"),
    types: '\'"BACKEND_OVERLOAD"\' is not assignable to type',
    definition: '',
  },
  {
    mistake: 'a retry of a code that never helps',
    body: staged("{ retry: { on: ['INVALID_INPUT'] } }"),
    definition: '',
  },
  {
    mistake: 'an attempt longer than the total',
    body: staged("{ timeout: { attempt: '2m', total: '1m' } }"),
    definition: '',
  },
  {
    mistake: 'a timeout longer than the deadline',
    body: staged("{ timeout: { total: '1h' } }"),
    definition: '',
  },
  {
    mistake: 'a fallback of another kind',
    body: staged("{ fallback: [transcribe({ model: 'whisper' }) as never] }"),
    definition: '',
  },
  {
    mistake: 'a fallback with another output',
    body: "return { x: stage('a', chat({ model: 'assistant', output: z.object({ city: z.string() }) }), { prompt: input.text }, { fallback: [ask as never] }).data };",
    definition: '',
  },
  {
    mistake: 'a misspelled model',
    body: "return { x: stage('a', chat({ model: 'asistant' }), { prompt: input.text }).text };",
    validate: '',
  },
  {
    mistake: 'a model of another kind',
    body: "return { x: stage('a', chat({ model: 'whisper' }), { prompt: input.text }).text };",
    validate: '',
  },
];

export const MISTAKES: readonly (readonly [section: string, rows: readonly Mistake[]])[] = [
  ['References where values are expected', REFERENCES],
  ['The definition as a program', DEFINITIONS],
  ['Options', OPTIONS],
];
