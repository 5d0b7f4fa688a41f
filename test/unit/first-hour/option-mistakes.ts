import type { Mistake } from './mistake.js';

/** Options of stages and pipelines. */
const staged = (options: string, use = 'ask', given = '{ prompt: input.text }'): string =>
  `return { x: stage('a', ${use}, ${given}, ${options}).text };`;
export const OPTIONS: readonly Mistake[] = [
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
      'INVALID_PIPELINE: pipeline "p": "dedline" is not an option; the options are input, description, deadline, record, openai, onLeave, mcp; did you mean "deadline"? (pipelines.ts:2)',
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
    mistake: 'a form with a field that no form can ask',
    body: "return { x: stage('a', approve({ timeout: '1m', form: z.object({ who: z.object({}) }) }), { subject: input.text }).by };",
    definition:
      'INVALID_PIPELINE: pipeline "p": "approve.form.who" must be a text, a number, a boolean, a z.enum() or a list of one: that is what a form can ask (pipelines.ts:3)',
  },
  {
    mistake: 'a question of an MCP server without a time',
    body: staged(
      '{}',
      "agent({ model: 'assistant', tools: [m.mcpTools({ server: 'files', elicitation: {} as never })] })",
    ),
    definition:
      "INVALID_PIPELINE: pipeline \"p\": \"files.elicitation.timeout\" is undefined, which is not a duration; write '500ms', '30s', '5m', '2h' or '1d', or a number of milliseconds above 0 (pipelines.ts:3)",
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
