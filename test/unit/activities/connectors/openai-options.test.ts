import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CallContext, PoolOptions } from '../../../../activities/connectors/connector.js';
import type { ServerSoftware } from '../../../../activities/connectors/openai/options.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { chat as chatStage } from '../../../../pipelines/stages/index.js';
import { chunk, invoke, SimulatedServer } from './openai-server.js';

const OWNERS: Readonly<Record<ServerSoftware, string>> = {
  vllm: 'vllm',
  sglang: 'sglang',
  'llama.cpp': 'llamacpp',
  triton: 'Triton Inference Server',
  other: 'system',
};
let server: SimulatedServer;

beforeEach(async () => {
  server = await SimulatedServer.start();
  serve('vllm');
  server.events([chunk({ content: 'yes' }, 'stop')]);
});
afterEach(() => server.stop());

function serve(software: ServerSoftware): void {
  server.models = { status: 200, body: { data: [{ id: 'm', owned_by: OWNERS[software] }] } };
}

/** The body that a `chat` stage with these options sends. */
async function sent(
  options: Partial<Parameters<typeof chatStage>[0]>,
  pool?: PoolOptions,
  context: Partial<CallContext> = {},
  input: JsonObject = {},
): Promise<Record<string, unknown>> {
  await call(options, pool, context, input);
  return server.received.findLast(({ url }) => url === '/v1/chat/completions')?.body;
}

function call(
  options: Partial<Parameters<typeof chatStage>[0]>,
  pool?: PoolOptions,
  context: Partial<CallContext> = {},
  input: JsonObject = {},
) {
  const { with: planned } = chatStage({ model: 'm', ...options });
  return server.connect(pool).invoke(
    { kind: 'chat', model: 'm', with: planned, input: { prompt: 'Well?', ...input } },
    {
      signal: AbortSignal.timeout(110_000),
      audio: { read: () => never(), write: () => never() },
      checkpoint: () => undefined,
      emit: () => undefined,
      ...context,
    },
  );
}
function never(): never {
  throw new Error('no audio');
}

describe('further members of a request', () => {
  it('come from the pool and the stage: the stage’s replace the pool’s, those of the template are merged', async () => {
    const pool = { extra: { top_k: 5, repetition_penalty: 1.1, chat_template_kwargs: { a: 1, b: 1 } } };
    const extra = { top_k: 9, temperature: 0.6, chat_template_kwargs: { b: 2 } };
    expect(await sent({ extra }, pool)).toMatchObject({
      top_k: 9,
      repetition_penalty: 1.1,
      temperature: 0.6,
      chat_template_kwargs: { a: 1, b: 2 },
    });
  });

  it('have names of their own where options are typed', async () => {
    const options = { topP: 0.9, topK: 20, minP: 0.05, logprobs: 2 } as const;
    const names = { top_p: 0.9, top_k: 20, min_p: 0.05, logprobs: true, top_logprobs: 2 };
    expect(await sent(options)).toMatchObject(names);
  });
});

describe('reasoning', () => {
  it.each([
    ['vllm', { max_tokens: 300, reasoning_effort: 'low', thinking_token_budget: 200 }],
    ['sglang', { max_tokens: 300, reasoning_effort: 'low' }],
    ['llama.cpp', { max_tokens: 300, thinking_budget_tokens: 200, chat_template_kwargs: { reasoning_effort: 'low' } }],
    ['other', { max_tokens: 300, reasoning_effort: 'low' }],
  ] as const)('has limits besides that of the reply, as %s names them', async (software, members) => {
    serve(software);
    const body = await sent({ maxTokens: 100, thinkingTokens: 200, reasoningEffort: 'low' });
    expect(body).toMatchObject(members);
    expect('thinking_token_budget' in body).toBe(software === 'vllm');
  });

  it('is turned off by the chat template, which is what models read', async () => {
    expect(await sent({ reasoningEffort: 'none' })).toMatchObject({
      reasoning_effort: 'none',
      chat_template_kwargs: { enable_thinking: false },
    });
  });

  it.each(['reasoning', 'reasoning_content'] as const)('goes back as %s where the pool says so', async (name) => {
    const history = [
      { role: 'user', content: 'Hi.' },
      { role: 'assistant', content: 'Hello.', reasoning: 'A greeting.' },
    ];
    const body = await sent({}, { reasoningInHistory: name }, {}, { history });
    expect(body.messages).toContainEqual({ role: 'assistant', content: 'Hello.', [name]: 'A greeting.' });
    const without = await sent({}, undefined, {}, { history });
    expect(without.messages).toContainEqual({ role: 'assistant', content: 'Hello.' });
  });
});

describe('the caller of a request', () => {
  it('is kept from other tenants’ cached prefixes by a salt that does not name it', async () => {
    const salts: unknown[] = [];
    for (const tenant of ['acme', 'acme', 'other']) salts.push((await sent({}, undefined, { tenant })).cache_salt);
    expect(salts[0]).toBe(salts[1]);
    expect(salts[0]).not.toBe(salts[2]);
    expect(String(salts[0])).toMatch(/^[\w-]{43}$/);
    expect(await sent({}, { cacheSalt: 'off' }, { tenant: 'acme' })).not.toHaveProperty('cache_salt');
    expect(await sent({ extra: { cache_salt: 'own' } }, undefined, { tenant: 'acme' })).toMatchObject({
      cache_salt: 'own',
    });
  });

  it.each(['llama.cpp', 'triton', 'other'] as const)(
    'is not stated to %s, which has no such members',
    async (software) => {
      serve(software);
      const body = await sent({}, { priority: true }, { tenant: 'acme', priority: 'interactive' });
      expect(body).not.toHaveProperty('cache_salt');
      expect(body).not.toHaveProperty('priority');
    },
  );

  it.each([
    ['vllm', -1, 1],
    ['sglang', 1, -1],
  ] as const)('has the stage’s priority at %s, if the pool says so', async (software, first, last) => {
    serve(software);
    expect(await sent({}, { priority: true }, { priority: 'interactive' })).toMatchObject({ priority: first });
    expect(await sent({}, { priority: true }, { priority: 'batch' })).toMatchObject({ priority: last });
    expect(await sent({}, {}, { priority: 'batch' })).not.toHaveProperty('priority');
  });

  it('is stated in the software’s way behind a router that hides it', async () => {
    serve('other');
    expect(await sent({}, { server: 'vllm', priority: true }, { priority: 'batch' })).toMatchObject({ priority: 1 });
  });
});

describe('the caller of a call that is no chat', () => {
  const passages = [{ text: 'p' }];
  const CALLS = [
    ['classify', '/v1/chat/completions', { labels: ['a', 'b'] }, { text: 'x' }, {}],
    ['embed', '/v1/embeddings', {}, { text: 'x' }, {}],
    ['embed', '/v1/embeddings', {}, { items: [{ text: 'x' }] }, { embedBy: 'messages' }],
    ['rerank', '/v1/rerank', {}, { query: 'q', passages }, {}],
    ['rerank', '/v1/score', {}, { query: 'q', passages }, { rerankBy: 'score' }],
    ['rerank', '/v1/score', {}, { pairs: [{ query: 'q', text: 'p' }] }, { rerankBy: 'score' }],
  ] as const;
  const asked = async (kind: string, url: string, options: JsonObject, input: JsonObject, pool: PoolOptions) => {
    const backend = server.connect({ priority: true, ...pool });
    // What the server answers is none.
    await invoke(backend, { kind, with: options, input }, { tenant: 'acme', priority: 'batch' }).catch(() => undefined);
    return server.received.findLast((each) => each.url === url)?.body;
  };

  it.each(CALLS)('%s by %s: vLLM is told', async (...call) => {
    expect(await asked(...call)).toMatchObject({ priority: 1, cache_salt: expect.stringMatching(/^[\w-]{43}$/) });
  });

  it.each(CALLS)('%s by %s: SGLang is told what its class of the request has', async (...call) => {
    serve('sglang');
    const [kind] = call;
    const { priority, cache_salt } = await asked(...call);
    expect(priority).toBe(kind === 'rerank' ? undefined : -1);
    expect(typeof cache_salt).toBe(kind === 'classify' ? 'string' : 'undefined');
  });
});

describe('a constraint', () => {
  it.each([
    ['vllm', { choice: ['yes', 'no'] }, { structured_outputs: { choice: ['yes', 'no'] } }],
    ['vllm', { regex: 'yes|no' }, { structured_outputs: { regex: 'yes|no' } }],
    ['vllm', { grammar: 'root ::= "yes"' }, { structured_outputs: { grammar: 'root ::= "yes"' } }],
    ['sglang', { choice: ['yes', 'a.b'] }, { regex: 'yes|a\\.b' }],
    ['sglang', { grammar: 'root ::= "yes"' }, { ebnf: 'root ::= "yes"' }],
    ['llama.cpp', { choice: ['yes', 'say "no"'] }, { grammar: 'root ::= "yes" | "say \\"no\\""' }],
    ['llama.cpp', { grammar: 'root ::= "yes"' }, { grammar: 'root ::= "yes"' }],
  ] as const)('is what %s makes of %j', async (software, constrain, members) => {
    serve(software);
    expect(await sent({ constrain })).toMatchObject(members);
  });

  it.each([
    ['llama.cpp', { regex: 'yes|no' }],
    ['other', { choice: ['yes', 'no'] }],
  ] as const)('that %s cannot keep is refused: %j', async (software, constrain) => {
    serve(software);
    await expect(call({ constrain })).rejects.toMatchObject({ code: 'CAPABILITY_MISSING' });
  });

  it('is checked: a reply that is none of the choices is INVALID_OUTPUT', async () => {
    await expect(call({ constrain: { choice: ['no', 'perhaps'] } })).rejects.toMatchObject({ code: 'INVALID_OUTPUT' });
  });
});

it('probabilities of tokens are part of the output', async () => {
  const content = [
    { token: 'yes', logprob: -0.1, bytes: [1], top_logprobs: [{ token: 'no', logprob: -2, bytes: [2] }] },
  ];
  const choice = { index: 0, delta: { content: 'yes' }, logprobs: { content }, finish_reason: 'stop' };
  server.events([{ choices: [choice] }]);
  const { output } = await call({ logprobs: 1 });
  expect(output.logprobs).toEqual([{ token: 'yes', logprob: -0.1, top: [{ token: 'no', logprob: -2 }] }]);
});

it.each([
  ['vllm', 0],
  // Without alternatives it returns no probabilities at all.
  ['llama.cpp', 1],
] as const)('probabilities of tokens alone are asked for by the call (%s)', async (software, sentTop) => {
  serve(software);
  const content = [{ token: 'yes', logprob: -0.1, top_logprobs: [{ token: 'yes', logprob: -0.1 }] }];
  server.events([{ choices: [{ index: 0, delta: { content: 'yes' }, logprobs: { content }, finish_reason: 'stop' }] }]);
  const { output } = await call({ logprobs: 3 }, undefined, {}, { logprobs: 0 });
  expect(output.logprobs).toEqual([{ token: 'yes', logprob: -0.1, top: [] }]);
  const { body } = server.received.findLast(({ url }) => url === '/v1/chat/completions') ?? {};
  expect(body).toMatchObject({ logprobs: true, top_logprobs: sentTop });
});
