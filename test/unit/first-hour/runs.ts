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
    says: '',
    at: '',
  },
  {
    mistake: 'a function that reads a field of undefined',
    source: '({ text }) => ({ value: ({} as { a: { b: string } }).a.b + text })',
    says: '',
    at: '',
  },
  { mistake: 'a function that throws a text', source: "() => {\n  throw 'no';\n}", says: '' },
  {
    mistake: 'a function that uses a reference of its definition',
    source:
      '() => {\n  pipeline("p", { input: z.object({ n: z.number() }) }, ({ input }) => ({ n: Number(input.n) }));\n  return { value: 1 };\n}',
    says: '',
    at: '',
  },
  { mistake: 'a function that returns nothing', source: '() => undefined as never', says: '' },
  { mistake: 'a function that returns another shape', source: "() => 'x' as never", says: '' },
  { mistake: 'a function that returns a BigInt', source: '() => ({ value: 1n })', says: '' },
  { mistake: 'a function that returns a Date', source: '() => ({ value: { at: new Date(0) } })', says: '' },
  { mistake: 'a function that returns a Map', source: '() => ({ value: new Map() })', says: '' },
  {
    mistake: 'a function that returns what contains itself',
    source: '() => {\n  const value: { self?: unknown } = {};\n  value.self = value;\n  return { value };\n}',
    says: '',
  },
  { mistake: 'a function that returns NaN', source: '() => ({ value: [1, Number.NaN] })', says: '' },
  { mistake: 'a function that returns two megabytes', source: "() => ({ value: 'x'.repeat(2_000_000) })", says: '' },
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
  { mistake: 'a body that is not JSON', body: '{ name: Ada }', says: '' },
  { mistake: 'no body', says: '' },
  { mistake: 'a body that is a list', body: '["Ada"]', says: '' },
  { mistake: 'a body of another type', body: 'name: Ada', type: 'text/yaml', says: '' },
  { mistake: 'a misspelled field', body: '{ "nmae": "Ada" }', says: '' },
  { mistake: 'a missing field', body: '{}', says: '' },
  { mistake: 'a value of another type', body: '{ "name": 7 }', says: '' },
  { mistake: 'a misspelled pipeline', pipeline: 'great', body: '{ "name": "Ada" }', says: '' },
];
