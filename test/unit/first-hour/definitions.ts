/** A mistake in a module of pipelines, and the message that its author gets, by what finds it. */
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
    definition:
      'INVALID_PIPELINE: pipeline "p": "a.txt" unknown field: a has no field "txt" (its fields: text); did you mean "text"? (pipelines.ts:3)',
  },
  {
    mistake: 'a misspelled field of the input',
    body: 'return { x: input.hnit };',
    types: "Property 'hnit' does not exist on type",
    definition:
      'INVALID_PIPELINE: pipeline "p": "input.hnit" unknown field: input has no field "hnit" (its fields: text, count, flag, words, hint); did you mean "hint"? (pipelines.ts:3)',
  },
  {
    mistake: 'a missing field of a stage’s input',
    body: "return { x: stage('a', shout, {}).text };",
    types: "Argument of type '{}' is not assignable to parameter of type 'Bind<NoInfer<{ text: string; }>>'",
    definition: 'INVALID_PIPELINE: pipeline "p": "a.input.text" is missing: it is text (pipelines.ts:3)',
  },
  {
    mistake: 'a misspelled field of a stage’s input',
    body: "return { x: stage('a', ask, { promt: input.text }).text };",
    types: "'promt' does not exist in type",
    definition:
      'INVALID_PIPELINE: pipeline "p": "a.input.promt" is not one of its fields: prompt, history, images, parts, temperature, topP, topK, minP, logprobs, maxTokens, stop, seed, presencePenalty, frequencyPenalty, reasoningEffort, tools, toolChoice, parallelToolCalls, output; did you mean "prompt"? (pipelines.ts:3)',
  },
  {
    mistake: 'a number where text is needed',
    body: "return { x: stage('a', shout, { text: input.count }).text };",
    types: "Type 'Typed<number>' is not assignable to type 'string'",
    definition: 'INVALID_PIPELINE: pipeline "p": "a.input.text" is a number where text is needed (pipelines.ts:3)',
  },
  {
    mistake: 'a list where a stream is needed',
    body: "return { x: stage('a', m.code('each', { input: z.object({ words: m.streamOf(z.string()) }), output: z.object({ n: z.number() }) }, () => ({ n: 1 })), { words: input.words }).n };",
    types: "from type 'StreamInput<string>': 'pass a stream, as answer.sentences or entries of a codeStream'",
    definition:
      'INVALID_PIPELINE: pipeline "p": "a.input.words" is a list where a stream is needed; pass a stream, as answer.sentences, or the entries of a codeStream() (pipelines.ts:3)',
  },
  {
    mistake: 'a value that may be absent',
    body: "return { x: stage('a', shout, { text: input.hint }).text };",
    types: "Type 'Typed<string | undefined>' is not assignable to type 'string'",
    definition:
      'INVALID_PIPELINE: pipeline "p": "a.input.text" may be absent; give it a default with either(), or use present() where it is known to be present (pipelines.ts:3)',
  },
  {
    mistake: 'a reference in a plain template string',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source
    body: "return { x: stage('a', shout, { text: `Say ${input.text}` }).text };",
    definition:
      'INVALID_PIPELINE: pipeline "p": "input.text" is a reference: there is no value before a run; join texts with text`…`, compare with eq(), lt(), …, compute in a code() stage (pipelines.ts:3)',
  },
  {
    mistake: 'arithmetic with a reference',
    body: 'return { x: (input.count as never as number) + 1 };',
    definition:
      'INVALID_PIPELINE: pipeline "p": "input.count" is a reference: there is no value before a run; join texts with text`…`, compare with eq(), lt(), …, compute in a code() stage (pipelines.ts:3)',
  },
  {
    mistake: '`if` on a reference',
    body: "if (input.flag) return { x: stage('a', shout, { text: input.text }).text };\nreturn { x: input.text };",
    validate:
      'p - REFERENCE_TESTED `input.flag` is a reference, which always counts as true (pipelines.ts:3) — branch with when(); inside a condition use and(), or(), not(), has()',
  },
  {
    mistake: 'a choice by `? :`',
    body: "return { x: input.flag ? 'yes' : 'no' };",
    validate:
      'p - REFERENCE_TESTED `input.flag` is a reference, which always counts as true (pipelines.ts:3) — branch with when(); inside a condition use and(), or(), not(), has()',
  },
  {
    mistake: '`!` before a reference',
    body: 'return { x: !input.flag };',
    validate:
      'p - REFERENCE_TESTED `input.flag` is a reference, which always counts as true (pipelines.ts:3) — branch with when(); inside a condition use and(), or(), not(), has()',
  },
  {
    mistake: '`&&` with a reference',
    body: "return { x: input.flag && stage('a', shout, { text: input.text }).text };",
    validate:
      'p - REFERENCE_TESTED `input.flag` is a reference, which always counts as true (pipelines.ts:3) — branch with when(); inside a condition use and(), or(), not(), has()',
  },
  {
    mistake: '`switch` on a reference',
    body: 'switch (input.text) { default: return { x: input.text }; }',
    validate:
      'p - REFERENCE_TESTED `input.text` is a reference, which always counts as true (pipelines.ts:3) — branch with when(); inside a condition use and(), or(), not(), has()',
  },
  {
    mistake: 'a reference compared by `===`',
    body: "return { x: (input.text as unknown) === 'x' };",
    validate:
      "p - REFERENCE_COMPARED `(input.text as unknown) === 'x'` is always false: a reference equals no value (pipelines.ts:3) — compare with eq(), ne(), lt(), …; has() tells whether a value is present",
  },
  {
    mistake: 'a default by `??`',
    body: "return { x: input.hint ?? 'none' };",
    validate:
      "p - REFERENCE_DEFAULT `input.hint ?? 'none'` never takes what follows ??: a reference is always there (pipelines.ts:3) — use either(), or .default() in the schema of the input",
  },
  {
    mistake: 'a default by `||`',
    body: "return { x: input.hint || 'none' };",
    validate:
      "p - REFERENCE_DEFAULT `input.hint || 'none'` never takes what follows ||: a reference is always there (pipelines.ts:3) — use either(), or .default() in the schema of the input",
  },
  {
    mistake: 'a default in a destructured input',
    body: "const { hint = 'none' } = input as never as { hint?: string }; return { x: hint };",
    validate:
      "p - REFERENCE_DEFAULT `hint = 'none'` never takes the default: a reference is always there (pipelines.ts:3) — use either(), or .default() in the schema of the input",
  },
  {
    mistake: 'the length of a list',
    body: 'return { x: input.words.length };',
    types: "Property 'length' does not exist on type",
    definition:
      'INVALID_PIPELINE: pipeline "p": "input.words.length" unknown field: input.words has no field "length" (its fields: none); use size() (pipelines.ts:3)',
  },
  {
    mistake: '`map` on a list',
    body: 'return { x: input.words.map((word: string) => word) };',
    types: "Property 'map' does not exist on type",
    definition:
      'INVALID_PIPELINE: pipeline "p": "input.words.map" unknown field: input.words has no field "map" (its fields: none); use each() (pipelines.ts:3)',
  },
  {
    mistake: '`filter` on a list',
    body: "return { x: input.words.filter((word: string) => word !== '') };",
    types: "Property 'filter' does not exist on type",
    definition:
      'INVALID_PIPELINE: pipeline "p": "input.words.filter" unknown field: input.words has no field "filter" (its fields: none); use each() with onFailure: \'drop\', or a code() stage (pipelines.ts:3)',
  },
  {
    mistake: 'a `for` loop over a list',
    body: 'for (const word of input.words) return { word };\nreturn {};',
    types: "must have a '[Symbol.iterator]()' method",
    definition:
      'INVALID_PIPELINE: pipeline "p": "input.words" is a reference: there is no value before a run; iterate with each() (pipelines.ts:3)',
  },
  {
    mistake: 'a list that is spread',
    body: 'return { x: [...input.words] };',
    types: "must have a '[Symbol.iterator]()' method",
    definition:
      'INVALID_PIPELINE: pipeline "p": "input.words" is a reference: there is no value before a run; iterate with each() (pipelines.ts:3)',
  },
  {
    mistake: 'a method of text',
    body: 'return { x: input.text.toUpperCase() };',
    types: "Property 'toUpperCase' does not exist on type",
    definition:
      'INVALID_PIPELINE: pipeline "p": "input.text.toUpperCase" unknown field: input.text has no field "toUpperCase" (its fields: none); use a code() stage: there is no value before a run (pipelines.ts:3)',
  },
  {
    mistake: 'JSON.stringify of a reference',
    body: 'return { x: JSON.stringify(input) };',
    definition:
      'INVALID_PIPELINE: pipeline "p": "input" is a reference: there is no value before a run; pass the reference itself: it becomes JSON in the run (pipelines.ts:3)',
  },
  {
    mistake: 'a Date from a reference',
    body: 'return { x: new Date(input.text).getTime() };',
    types: 'No overload matches this call',
    definition:
      'INVALID_PIPELINE: pipeline "p": "input.text" is a reference: there is no value before a run; join texts with text`…`, compare with eq(), lt(), …, compute in a code() stage (pipelines.ts:3)',
  },
  {
    mistake: '`in` on a reference',
    body: "return { x: 'hint' in input };",
    definition:
      'INVALID_PIPELINE: pipeline "p": "input" is a reference: there is no value before a run; has() tells in a run whether "hint" is present (pipelines.ts:3)',
  },
  {
    mistake: 'a field of the input that is set',
    body: "input.text = 'x'; return { x: input.text };",
    types: "Cannot assign to 'text' because it is a read-only property",
    definition:
      'INVALID_PIPELINE: pipeline "p": "input" is a reference: there is no value before a run; "text" cannot be set; make an object of references (pipelines.ts:3)',
  },
  {
    mistake: 'another pipeline’s reference',
    module:
      "let other: unknown;\npipeline('first', { input: z.object(INPUT) }, ({ input }) => { other = input.text; return {}; });\nexport const p = pipeline('p', { input: z.object(INPUT) }, () => ({ x: other }));",
    definition:
      'INVALID_PIPELINE: pipeline "p": "output" cannot read input.text: it belongs to another pipeline (pipelines.ts:4)',
  },
  {
    mistake: 'a stage of a branch, read outside it',
    body: "let inside: unknown;\nwhen('w', input.flag, () => { inside = stage('a', shout, { text: input.text }).text; return inside; });\nreturn { x: inside };",
    definition:
      'INVALID_PIPELINE: pipeline "p": "output" cannot read a.text: it exists only inside "w"; return it from there and read it from the output of "w" (pipelines.ts:2)',
  },
];

/** The definition as a program that runs. */
const DEFINITIONS: readonly Mistake[] = [
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
      'INVALID_PIPELINE: pipeline "p": "input.at" is a Date, which JSON does not have; declare z.iso.datetime() and make the Date where it is needed (pipelines.ts:2)',
  },
  {
    mistake: 'a Date in a function’s output',
    module: "code('clock', { input: z.object({}), output: z.object({ at: z.date() }) }, () => ({ at: new Date() }));",
    definition:
      'INVALID_PIPELINE: "clock.output.at" is a Date, which JSON does not have; declare z.iso.datetime() and make the Date where it is needed (pipelines.ts:2)',
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
      'INVALID_PIPELINE: "table.output.rows" is a Map, which JSON does not have; declare z.record() (pipelines.ts:2)',
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

/** Options of stages and pipelines. */
const staged = (options: string, use = 'ask', given = '{ prompt: input.text }'): string =>
  `return { x: stage('a', ${use}, ${given}, ${options}).text };`;
const OPTIONS: readonly Mistake[] = [
  {
    mistake: 'a duration in words',
    body: staged("{ timeout: { attempt: '5 sec' } }"),
    types: "Type '\"5 sec\"' is not assignable to type 'Duration | undefined'",
    definition:
      "INVALID_PIPELINE: pipeline \"p\": \"a.timeout.attempt\" is \"5 sec\", which is not a duration; write '500ms', '30s', '5m', '2h' or '1d', or a number of milliseconds above 0 (pipelines.ts:3)",
  },
  {
    mistake: 'a duration without a unit',
    body: staged("{ timeout: { attempt: '5' } }"),
    types: "Type '\"5\"' is not assignable to type 'Duration | undefined'",
    definition:
      "INVALID_PIPELINE: pipeline \"p\": \"a.timeout.attempt\" is \"5\", which is not a duration; write '500ms', '30s', '5m', '2h' or '1d', or a number of milliseconds above 0 (pipelines.ts:3)",
  },
  {
    mistake: 'a negative duration',
    body: staged('{ timeout: { attempt: -5 } }'),
    definition:
      "INVALID_PIPELINE: pipeline \"p\": \"a.timeout.attempt\" is -5, which is not a duration; write '500ms', '30s', '5m', '2h' or '1d', or a number of milliseconds above 0 (pipelines.ts:3)",
  },
  {
    mistake: 'a misspelled option of a stage',
    body: staged("{ timout: { attempt: '5s' } }"),
    types: "'timout' does not exist in type",
    definition:
      'INVALID_PIPELINE: pipeline "p": "a.timout" is not an option; the options are cache, fallback, degrade, optional, reserve, onCut, retry, timeout, execution, priority, hedge, patience; did you mean "timeout"? (pipelines.ts:3)',
  },
  {
    mistake: 'a misspelled part of a policy',
    body: staged('{ retry: { attemps: 3 } }'),
    types: "'attemps' does not exist in type",
    definition:
      'INVALID_PIPELINE: pipeline "p": "a.retry.attemps" is not an option; the options are attempts, backoff, on; did you mean "attempts"? (pipelines.ts:3)',
  },
  {
    mistake: 'a misspelled option of a pipeline',
    module: "export const p = pipeline('p', { input: z.object(INPUT), dedline: '1m' }, () => ({}));",
    types: "'dedline' does not exist in type",
    definition:
      'INVALID_PIPELINE: pipeline "p": "dedline" is not an option; the options are input, description, deadline, record, openai, onLeave; did you mean "deadline"? (pipelines.ts:2)',
  },
  {
    mistake: 'a hedge of a function',
    body: staged("{ hedge: { after: '1s' } }", 'shout', '{ text: input.text }'),
    types: 'This applies only to stages that a model server serves: remove it',
    definition: 'INVALID_PIPELINE: pipeline "p": "a.hedge" applies only to stages that a pool serves (pipelines.ts:3)',
  },
  {
    mistake: 'a first-chunk timeout of a function',
    body: staged("{ timeout: { firstChunk: '1s' } }", 'shout', '{ text: input.text }'),
    types: 'This applies only to stages that a model server serves: remove it',
    definition:
      'INVALID_PIPELINE: pipeline "p": "a.timeout.firstChunk" applies only to stages that a pool serves (pipelines.ts:3)',
  },
  {
    mistake: 'a cache of an agent',
    body: staged('{ cache: semantic({ key: input.text }) }', "agent({ model: 'assistant' })"),
    types: 'An agent has no cache, because its tools may have effects: remove it',
    definition:
      'INVALID_PIPELINE: pipeline "p": "a.cache" does not apply to an agent, whose tools may have effects; remove it (pipelines.ts:3)',
  },
  {
    mistake: 'a retry of an approval',
    body: "return { x: stage('a', approve({ timeout: '1m' }), { subject: input.text }, { retry: { attempts: 2 } }).by };",
    types: 'This does not apply to a stage that waits for a person: remove it',
    definition:
      'INVALID_PIPELINE: pipeline "p": "a.retry" does not apply to a stage that calls no server; remove it (pipelines.ts:3)',
  },
  {
    mistake: 'a cached rung without a cache',
    body: staged("{ degrade: [{ below: '5s', to: 'cached' }] }"),
    definition:
      'INVALID_PIPELINE: pipeline "p": "a.degrade" "cached" needs a cache: add cache: semantic({ key }) or exact() (pipelines.ts:3)',
  },
  {
    mistake: 'a retry of an unknown code',
    body: staged("{ retry: { on: ['BACKEND_OVERLOAD'] } }"),
    types: '\'"BACKEND_OVERLOAD"\' is not assignable to type',
    definition:
      'INVALID_PIPELINE: pipeline "p": "a.retry.on" "BACKEND_OVERLOAD" is not a code of the error table; did you mean "BACKEND_OVERLOADED"? (pipelines.ts:3)',
  },
  {
    mistake: 'a retry of a code that never helps',
    body: staged("{ retry: { on: ['INVALID_INPUT'] } }"),
    definition:
      'INVALID_PIPELINE: pipeline "p": "a.retry.on" "INVALID_INPUT" fails the same way each time and is never retried (pipelines.ts:3)',
  },
  {
    mistake: 'an attempt longer than the total',
    body: staged("{ timeout: { attempt: '2m', total: '1m' } }"),
    definition:
      'INVALID_PIPELINE: pipeline "p": "a.timeout.attempt" 120000 ms is longer than timeout.total, 60000 ms (pipelines.ts:3)',
  },
  {
    mistake: 'a timeout longer than the deadline',
    body: staged("{ timeout: { total: '1h' } }"),
    definition:
      'INVALID_PIPELINE: pipeline "p": "a.timeout.total" 3600000 ms is longer than the pipeline’s deadline, 300000 ms (pipelines.ts:3)',
  },
  {
    mistake: 'a fallback of another kind',
    body: staged("{ fallback: [transcribe({ model: 'whisper' }) as never] }"),
    definition:
      'INVALID_PIPELINE: pipeline "p": "a.fallback" is a transcribe stage where chat is needed (pipelines.ts:3)',
  },
  {
    mistake: 'a fallback with another output',
    body: "return { x: stage('a', chat({ model: 'assistant', output: z.object({ city: z.string() }) }), { prompt: input.text }, { fallback: [ask as never] }).data };",
    definition:
      'INVALID_PIPELINE: pipeline "p": "a.fallback" assistant is called without the schema that assistant is called with (pipelines.ts:3)',
  },
  {
    mistake: 'a misspelled model',
    body: "return { x: stage('a', chat({ model: 'asistant' }), { prompt: input.text }).text };",
    validate:
      'p a MODEL_NOT_CONFIGURED no pool serves the model "asistant" — did you mean "assistant"? Or add the model to the file of MILLRACE_MODELS',
  },
  {
    mistake: 'a model of another kind',
    body: "return { x: stage('a', chat({ model: 'whisper' }), { prompt: input.text }).text };",
    validate:
      'p a MODEL_NOT_CONFIGURED the pool "whisper" serves transcribe stages, not chat — add the model to the file of MILLRACE_MODELS, or name one that serves chat: assistant',
  },
];

export const MISTAKES: readonly (readonly [section: string, rows: readonly Mistake[]])[] = [
  ['References where values are expected', REFERENCES],
  ['The definition as a program', DEFINITIONS],
  ['Options', OPTIONS],
];
