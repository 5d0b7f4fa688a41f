import type { Mistake } from './mistake.js';

/** References where JavaScript expects values. */
export const REFERENCES: readonly Mistake[] = [
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
    definition: 'INVALID_PIPELINE: pipeline "p": "a.input.text" is missing; it must be text (pipelines.ts:3)',
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
      'INVALID_PIPELINE: pipeline "p": "input.text" is a reference: it has no value before a run; join texts with text`…`, compare with eq(), lt(), …, compute in a code() stage (pipelines.ts:3)',
  },
  {
    mistake: 'arithmetic with a reference',
    body: 'return { x: (input.count as never as number) + 1 };',
    definition:
      'INVALID_PIPELINE: pipeline "p": "input.count" is a reference: it has no value before a run; join texts with text`…`, compare with eq(), lt(), …, compute in a code() stage (pipelines.ts:3)',
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
      'INVALID_PIPELINE: pipeline "p": "input.words" is a reference: it has no value before a run; iterate with each() (pipelines.ts:3)',
  },
  {
    mistake: 'a list that is spread',
    body: 'return { x: [...input.words] };',
    types: "must have a '[Symbol.iterator]()' method",
    definition:
      'INVALID_PIPELINE: pipeline "p": "input.words" is a reference: it has no value before a run; iterate with each() (pipelines.ts:3)',
  },
  {
    mistake: 'a method of text',
    body: 'return { x: input.text.toUpperCase() };',
    types: "Property 'toUpperCase' does not exist on type",
    definition:
      'INVALID_PIPELINE: pipeline "p": "input.text.toUpperCase" unknown field: input.text has no field "toUpperCase" (its fields: none); use a code() stage: a reference has no value before a run (pipelines.ts:3)',
  },
  {
    mistake: 'JSON.stringify of a reference',
    body: 'return { x: JSON.stringify(input) };',
    definition:
      'INVALID_PIPELINE: pipeline "p": "input" is a reference: it has no value before a run; pass the reference itself: it becomes JSON in the run (pipelines.ts:3)',
  },
  {
    mistake: 'a Date from a reference',
    body: 'return { x: new Date(input.text).getTime() };',
    types: 'No overload matches this call',
    definition:
      'INVALID_PIPELINE: pipeline "p": "input.text" is a reference: it has no value before a run; join texts with text`…`, compare with eq(), lt(), …, compute in a code() stage (pipelines.ts:3)',
  },
  {
    mistake: '`in` on a reference',
    body: "return { x: 'hint' in input };",
    definition:
      'INVALID_PIPELINE: pipeline "p": "input" is a reference: it has no value before a run; has() tells in a run whether "hint" is present (pipelines.ts:3)',
  },
  {
    mistake: 'a field of the input that is set',
    body: "input.text = 'x'; return { x: input.text };",
    types: "Cannot assign to 'text' because it is a read-only property",
    definition:
      'INVALID_PIPELINE: pipeline "p": "input" is a reference: it has no value before a run; "text" cannot be set; make an object of references (pipelines.ts:3)',
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
