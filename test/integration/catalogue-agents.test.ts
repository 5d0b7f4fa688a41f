import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { supportAgent, voiceAgent } from '../../pipelines/catalog/index.js';
import { ingest } from '../../pipelines/catalog/rag-answer.js';
import { decideOn, waitOf } from '../support/deciding.js';
import { address, connect, resultOf, start } from '../support/runs.js';
import { ScriptedLlm } from '../support/scripted-llm.js';
import { openSpeech, type Speech } from '../support/speech.js';
import { WorkerProcess } from '../support/worker-process.js';

/**
 * The agents that Millrace ships, on real servers but for the language model, which is scripted here: the embedded one calls
 * no tool by itself. `npm run bench:agent` shows tool calling with real weights.
 */

const QUEUE = `catalogue-agents-${randomUUID()}`;

const llm = new ScriptedLlm(({ messages, tools }) => {
  const prompt = messages[0]?.content ?? '';
  const results = messages.filter(({ role }) => role === 'tool').map(({ content }) => content);
  if (tools.includes('calculate')) {
    if (results.length > 0) return { text: `The result is ${JSON.parse(results[0] ?? '{}').result}.` };
    return { calls: [['calculate', { a: 12, operator: 'multiply', b: 7 }]] };
  }
  if (results.length === 0) return { calls: [['search', { query: prompt }]] };
  if (results.length === 1) return { calls: [['refund', { order: '4711', reason: 'broken' }]] };
  return { text: `Handbook: ${results[0]} Refund: ${results[1]}` };
});

const embedded = (kind: string, model: string) => ({
  connector: 'triton',
  kind,
  model,
  endpoints: [{ url: address('TRITON_URL'), device: 'cpu0' }],
});

let client: Client;
let speech: Speech;
let worker: WorkerProcess;
beforeAll(async () => {
  const models = await llm.listen('assistant', {
    whisper: embedded('transcribe', 'whisper'),
    minilm: embedded('embed', 'minilm'),
    tts: embedded('synthesize', 'tts'),
    rerank: embedded('rerank', 'rerank'),
    moderation: embedded('classify', 'moderation'),
  });
  [client, speech, worker] = await Promise.all([
    connect(),
    openSpeech(),
    WorkerProcess.start(QUEUE, { MILLRACE_MODELS: models, MILLRACE_PIPELINES: '' }),
  ]);
});
afterAll(async () => {
  await worker.kill('SIGTERM');
  llm.close();
  speech.close();
  await client.connection.close();
});

describe('voice-agent', () => {
  it('hears a question, calls a tool, and says what it gave', async () => {
    const question = await speech.speak('What is twelve times seven?');
    const { output } = await resultOf(await start(client, voiceAgent, { speech: question as never }, QUEUE));
    expect(output).toMatchObject({
      reply: 'The result is 84.',
      toolCalls: [{ turn: 1, name: 'calculate', end: 'done', result: { result: 84 } }],
      speech: { mime: 'audio/wav' },
    });
    expect(String(output.question).toLowerCase()).toMatch(/seven|7/);
  });
});

describe('support-agent', () => {
  const tenant = `t-${randomUUID()}`;
  const message = 'Order 4711 arrived broken. I want my money back.';

  beforeAll(async () => {
    const passages = [{ id: 'broken', text: 'A broken article is refunded within 30 days.' }];
    await resultOf(await start(client, ingest, { passages }, QUEUE, tenant));
  });

  /** A run that waits for somebody to decide on the refund. */
  async function waiting() {
    const run = await start(client, supportAgent, { message }, QUEUE, tenant);
    return { run, wait: await waitOf(run, 'answer/turn-2/refund') };
  }

  it('searches the handbook, and refunds when a person has approved', async () => {
    const { run, wait } = await waiting();
    expect(wait).toMatchObject({ call: { tool: 'refund', arguments: { order: '4711' } } });
    await decideOn(run, { nonce: wait.nonce, approved: true, by: 'ada' });
    const { output } = await resultOf(run);
    expect(output.toolCalls).toMatchObject([
      { turn: 1, name: 'search', end: 'done', result: [{ id: 'broken' }] },
      {
        turn: 2,
        name: 'refund',
        end: 'done',
        result: { order: '4711', status: 'refunded', reference: `${run.workflowId}/${wait.path}` },
      },
    ]);
    expect(output.reply).toContain('within 30 days');
  });

  it('refunds nothing when the person says no, and goes on', async () => {
    const { run, wait } = await waiting();
    await decideOn(run, { nonce: wait.nonce, approved: false, by: 'ada' });
    const { output } = await resultOf(run);
    expect(output.toolCalls).toMatchObject([{ name: 'search' }, { name: 'refund', end: 'refused' }]);
  });
});
