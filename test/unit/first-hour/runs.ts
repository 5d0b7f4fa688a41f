/** A mistake in a function of a stage, and the failure of the stage. */
export interface FailingFunction {
  readonly mistake: string;
  readonly source: string;
  /** Code and message. */
  readonly says: string;
  /** Where the failure says that it was caused. */
  readonly at?: string;
}

/** A module whose function is on lines 2 and following. Its input is `{ text: 'x' }`. */
export const moduleOf = ({ source }: FailingFunction): string =>
  `export const work = code('work', { input: z.object({ text: z.string() }), output: z.object({ value: z.any() }) },
${source});`;

export const FUNCTIONS: readonly FailingFunction[] = [
  {
    mistake: 'a function that throws an error',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source
    source: '({ text }) => {\n  throw new Error(`no city is named ${text}`);\n}',
    says: 'CODE_FAILED: no city is named x',
    at: 'pipelines.ts:4',
  },
  {
    mistake: 'a function that reads a field of undefined',
    source: '({ text }) => ({ value: ({} as { a: { b: string } }).a.b + text })',
    says: "CODE_FAILED: Cannot read properties of undefined (reading 'b')",
    at: 'pipelines.ts:3',
  },
  { mistake: 'a function that throws a text', source: "() => {\n  throw 'no';\n}", says: 'CODE_FAILED: no' },
  {
    mistake: 'a function that uses a reference of its definition',
    source:
      '() => {\n  pipeline("p", { input: z.object({ n: z.number() }) }, ({ input }) => ({ n: Number(input.n) }));\n  return { value: 1 };\n}',
    says: 'INVALID_PIPELINE: pipeline "p": "input.n" is a reference: it has no value before a run; join texts with text`…`, compare with eq(), lt(), …, compute in a code() stage',
    at: 'pipelines.ts:4',
  },
  {
    mistake: 'a function that returns nothing',
    source: '() => undefined as never',
    says: 'INVALID_OUTPUT: output: is undefined, which JSON cannot represent; use null',
  },
  {
    mistake: 'a function that returns another shape',
    source: "() => 'x' as never",
    says: 'INVALID_OUTPUT: output: Invalid input: expected object, received string',
  },
  {
    mistake: 'a function that returns a BigInt',
    source: '() => ({ value: 1n })',
    says: 'INVALID_OUTPUT: value: is a BigInt, which JSON cannot represent; use a number or a string',
  },
  {
    mistake: 'a function that returns a Date',
    source: '() => ({ value: { at: new Date(0) } })',
    says: 'INVALID_OUTPUT: value.at: is a Date, which JSON cannot represent; use a plain object, an array or a string',
  },
  {
    mistake: 'a function that returns a Map',
    source: '() => ({ value: new Map() })',
    says: 'INVALID_OUTPUT: value: is a Map, which JSON cannot represent; use a plain object, an array or a string',
  },
  {
    mistake: 'a function that returns a circular object',
    source: '() => {\n  const value: { self?: unknown } = {};\n  value.self = value;\n  return { value };\n}',
    says: 'INVALID_OUTPUT: value.self: contains itself',
  },
  {
    mistake: 'a function that returns NaN',
    source: '() => ({ value: [1, Number.NaN] })',
    says: 'INVALID_OUTPUT: value.1: is NaN, which is not a number in JSON; use null or omit it',
  },
  {
    mistake: 'a function that returns two megabytes',
    source: "() => ({ value: 'x'.repeat(2_000_000) })",
    says: 'RESULT_TOO_LARGE: the output of stage "a" has 2000012 bytes as JSON, more than 1500000; "value" has 2000002 of them; return less, or media by reference',
  },
];

/** A request to a gateway whose pipelines are `greet` (a name), `listen` (audio, language) and `compare`. */
export interface WrongRequest {
  readonly mistake: string;
  readonly pipeline?: string;
  readonly body?: string;
  readonly type?: string;
  /** Status, code, and the message of each field. */
  readonly says: string;
}

export const REQUESTS: readonly WrongRequest[] = [
  {
    mistake: 'a body that is not JSON',
    body: '{ name: Ada }',
    says: "400 INVALID_JSON: body: Expected property name or '}' in JSON at position 2",
  },
  { mistake: 'no body', says: '400 EMPTY_BODY: the request has no body' },
  { mistake: 'a body that is a list', body: '["Ada"]', says: '422 INVALID_INPUT: body: must be a JSON object' },
  {
    mistake: 'a body of another type',
    body: 'name: Ada',
    type: 'text/yaml',
    says: '415 UNSUPPORTED_CONTENT_TYPE: send multipart/form-data, application/json or audio/wav (curl: -H "Content-Type: audio/wav")',
  },
  {
    mistake: 'a misspelled field',
    body: '{ "nmae": "Ada" }',
    says: '422 INVALID_INPUT: nmae: unknown field; did you mean "name"?',
  },
  { mistake: 'a missing field', body: '{}', says: '422 INVALID_INPUT: name: is required' },
  {
    mistake: 'a value of another type',
    body: '{ "name": 7 }',
    says: '422 INVALID_INPUT: name: Invalid input: expected string, received number',
  },
  {
    mistake: 'a misspelled pipeline',
    pipeline: 'great',
    body: '{ "name": "Ada" }',
    says: '404 PIPELINE_NOT_FOUND: no pipeline is named "great"; GET /v1/pipelines lists them; did you mean "greet"?',
  },
];
