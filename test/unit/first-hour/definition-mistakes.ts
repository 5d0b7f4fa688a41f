import type { Mistake } from './mistake.js';

/** The definition as a program that runs. */
export const DEFINITIONS: readonly Mistake[] = [
  {
    mistake: 'an async definition with `await stage()`',
    module:
      "export const p = pipeline('p', { input: z.object(INPUT) }, async ({ input, stage }) => {\n  const a = await stage('a', shout, { text: input.text });\n  return { x: a.text };\n});",
    types: 'A definition is traced when it is loaded and must not be async: remove async and await',
    definition:
      'INVALID_PIPELINE: pipeline "p": "p" is traced with an async function, which must not be async: remove async and await (pipelines.ts:2)',
  },
  {
    mistake: 'an async body of `each`',
    body: "return { x: each('e', input.words, async (word) => stage('a', shout, { text: word }).text) };",
    types: 'A definition is traced when it is loaded and must not be async: remove async and await',
    definition:
      'INVALID_PIPELINE: pipeline "p": "e" is traced with an async function, which must not be async: remove async and await (pipelines.ts:3)',
  },
  {
    mistake: 'Date.now() in a definition',
    body: 'return { at: Date.now(), x: input.text };',
    validate:
      'p - FROZEN_VALUE `Date.now()` is evaluated once, when the module is loaded: every run gets the same value (pipelines.ts:3) — take the value from the input, or compute it in a code() function',
  },
  {
    mistake: 'new Date() in a definition',
    body: 'return { at: new Date().toISOString(), x: input.text };',
    validate:
      'p - FROZEN_VALUE `new Date()` is evaluated once, when the module is loaded: every run gets the same value (pipelines.ts:3) — take the value from the input, or compute it in a code() function',
  },
  {
    mistake: 'Math.random() in a definition',
    body: 'return { at: Math.random(), x: input.text };',
    validate:
      'p - FROZEN_VALUE `Math.random()` is evaluated once, when the module is loaded: every run gets the same value (pipelines.ts:3) — take the value from the input, or compute it in a code() function',
  },
  {
    mistake: 'an environment variable in a definition',
    body: "return { x: stage('a', chat({ model: process.env.MODEL ?? 'assistant' }), { prompt: input.text }).text };",
    validate:
      'p - FROZEN_VALUE `process.env.MODEL` is read once, when the module is loaded, by gateway and worker separately (pipelines.ts:3) — take the value from the input, or compute it in a code() function',
  },
  {
    mistake: 'try … catch around a stage',
    body: "try {\n  return { x: stage('a', shout, { text: input.text }).text };\n} catch {\n  return { x: 'failed' };\n}",
    validate:
      'p - CAUGHT_STAGE try … catch catches mistakes in the definition, not failures of its stages (pipelines.ts:3) — give the stage a fallback or optional: true; it fails in a run, not here',
  },
  {
    mistake: 'a reference used inside a function of a stage',
    body: "const own = code('own', inText, ({ text }) => ({ text: text + String(input.count) }));\nreturn { x: stage('a', own, { text: input.text }).text };",
    validate:
      'p - REFERENCE_IN_FUNCTION `input` is a reference of the definition: it has no value in a function of a stage (pipelines.ts:3) — give the value to the stage as a field of its input',
  },
  {
    mistake: 'a counter outside a function',
    module:
      "let count = 0;\nconst counted = code('counted', inText, ({ text }) => { count += 1; return { text: text + count }; });\nexport const p = pipeline('p', { input: z.object(INPUT) }, ({ input, stage }) => ({ x: stage('a', counted, { text: input.text }).text }));",
    validate:
      '- - STATE_IN_FUNCTION `count += 1` changes a variable outside the function (pipelines.ts:3) — keep it in a store, or return it: each worker has its own copy, and retries change it again',
  },
  {
    mistake: 'a definition that returns nothing',
    body: "stage('a', shout, { text: input.text });",
    definition:
      'INVALID_PIPELINE: pipeline "p": "output" is undefined: return { field: reference, … } from the function of the pipeline (pipelines.ts:2)',
  },
  {
    mistake: 'a definition that returns a stage',
    body: "return stage('a', shout, { text: input.text });",
    definition:
      'INVALID_PIPELINE: pipeline "p": "output" must be an object: return { field: reference, … } from the function of the pipeline (pipelines.ts:2)',
  },
  {
    mistake: 'a definition that returns a list',
    body: 'return [input.text];',
    definition:
      'INVALID_PIPELINE: pipeline "p": "output" must be an object: return { field: reference, … } from the function of the pipeline (pipelines.ts:2)',
  },
  {
    mistake: 'a definition that returns a Date',
    body: 'return { at: new Date(0) };',
    definition:
      'INVALID_PIPELINE: pipeline "p": "output" is a Date, which cannot be part of a plan; a plan is JSON (pipelines.ts:2)',
  },
  {
    mistake: 'two stages of one id',
    body: "stage('a', shout, { text: input.text });\nreturn { x: stage('a', shout, { text: input.text }).text };",
    definition: 'INVALID_PIPELINE: pipeline "p": "a" is defined twice; give each step its own id (pipelines.ts:4)',
  },
  {
    mistake: 'an id with odd characters',
    body: "return { x: stage('Say it!', shout, { text: input.text }).text };",
    definition:
      'INVALID_PIPELINE: pipeline "p": "Say it!" is not a stage id: lower-case letters, digits and dashes, a letter first, 63 at most (pipelines.ts:3)',
  },
  {
    mistake: 'a stage that is added when a function runs later',
    module:
      "let later: () => unknown = () => 0;\nexport const p = pipeline('p', { input: z.object(INPUT) }, ({ input, stage }) => {\n  later = () => stage('a', shout, { text: input.text });\n  return { x: input.text };\n});\nlater();",
    definition:
      'INVALID_PIPELINE: "a" is added after the definition has returned, so no run would have it (pipelines.ts:4)',
  },
  {
    mistake: 'a stage whose output nobody reads',
    body: "stage('a', ask, { prompt: input.text }); return { x: input.text };",
    validate: 'p a UNUSED_STAGE its output is not used — read its output, return it, or remove the stage',
  },
  {
    mistake: 'a field of the input that nobody reads',
    body: 'return { x: input.text };',
    validate: 'p input UNUSED_INPUT nothing reads "words" — read it, or remove it from the input’s schema',
  },
  {
    mistake: 'an input that is no object',
    module: "export const p = pipeline('p', { input: z.string() as never }, () => ({}));",
    definition:
      'INVALID_PIPELINE: pipeline "p": "input" must be a z.object({ … }): a run’s input is an object of fields (pipelines.ts:2)',
  },
  {
    mistake: 'a Date in the input',
    module: "export const p = pipeline('p', { input: z.object({ at: z.date() }) }, () => ({}));",
    definition:
      'INVALID_PIPELINE: pipeline "p": "input.at" is a Date, which JSON cannot represent; declare z.iso.datetime() and make the Date where it is needed (pipelines.ts:2)',
  },
  {
    mistake: 'a Date in a function’s output',
    module: "code('clock', { input: z.object({}), output: z.object({ at: z.date() }) }, () => ({ at: new Date() }));",
    definition:
      'INVALID_PIPELINE: "clock.output.at" is a Date, which JSON cannot represent; declare z.iso.datetime() and make the Date where it is needed (pipelines.ts:2)',
  },
  {
    mistake: 'a transform in a function’s output',
    module:
      "code('size', { input: z.object({}), output: z.object({ n: z.string().transform((text) => text.length) }) }, () => ({ n: 1 }));",
    definition:
      'INVALID_PIPELINE: "size.output.n" is changed by .transform(), so that its type is unknown; change it in a code() function, or add .pipe() with its schema (pipelines.ts:2)',
  },
  {
    mistake: 'a Map in a function’s output',
    module:
      "code('table', { input: z.object({}), output: z.object({ rows: z.map(z.string(), z.number()) }) }, () => ({ rows: new Map() }));",
    definition:
      'INVALID_PIPELINE: "table.output.rows" is a Map, which JSON cannot represent; declare z.record() (pipelines.ts:2)',
  },
  {
    mistake: 'a function whose input is a text',
    body: "const own = code('own', { input: z.string(), output: z.string() }, (given) => given.toUpperCase());\nreturn { x: stage('a', own, input.text) };",
    definition:
      'INVALID_PIPELINE: pipeline "p": "a.input" takes text: a stage’s input is an object of fields; declare it as z.object({ … }) and give it { field: value } (pipelines.ts:4)',
  },
  {
    mistake: 'code() without a function',
    module: "code('nothing', inText, undefined as never);",
    definition: 'INVALID_PIPELINE: "nothing.run" must be a function of the stage’s input (pipelines.ts:2)',
  },
  {
    mistake: 'a stage kind that is not called',
    body: "return { x: stage('a', chat as never, { prompt: input.text } as never) };",
    definition:
      'INVALID_PIPELINE: pipeline "p": "a" needs a stage kind with its options, e.g. chat({ model }) (pipelines.ts:3)',
  },
];
