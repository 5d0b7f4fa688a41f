import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureVenv } from '../../deploy/local/stack/venv.js';
import type { RunPage } from '../../pipelines/run/document.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { CallLog, until } from '../support/runs.js';
import { testSettings } from '../support/settings.js';
import { WorkerProcess } from '../support/worker-process.js';

/**
 * Clients that give up after three seconds and retry by themselves, at a pipeline that pays and then takes five: the
 * receiver of the payments is a file, outside of Millrace. The tests wait for most of their time, and do so together.
 */

const QUEUE = `paying-${randomUUID()}`;
const settings = { MILLRACE_PIPELINES: 'test/fixtures/paying.mjs', MILLRACE_TASK_QUEUE: QUEUE };

/** Five seconds and what a slow machine adds: the retries take half a second, a second and so on before them. */
const MOST_RETRIES = 8;

let gateway: GatewayProcess;
let worker: WorkerProcess;
let client: OpenAI;
beforeAll(async () => {
  [gateway, worker] = await Promise.all([GatewayProcess.start(settings), WorkerProcess.start(QUEUE, settings)]);
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'none', timeout: 3_000, maxRetries: MOST_RETRIES });
});
afterAll(() => Promise.all([gateway?.stop(), worker?.kill()]));

/** A receiver of a test's own. */
class Receiver {
  readonly #log = new CallLog();

  /** What was paid. */
  get paid(): readonly string[] {
    return this.#log.lines();
  }

  /** The file in which it notes payments. */
  get file(): string {
    return this.#log.file;
  }

  chat(what: string, model = 'paying') {
    return { model, messages: [{ role: 'user' as const, content: `${what}|${this.file}` }] };
  }

  /** The same whose payment is followed by waiting until `release`. */
  held(what: string) {
    return { model: 'paying', messages: [{ role: 'user' as const, content: `${what}|${this.file}|held` }] };
  }

  release(): void {
    writeFileSync(`${this.file}.released`, '');
  }

  until(...lines: string[]): Promise<void> {
    return until(`${lines.join(' and ')} paid`, () => this.paid.join() === lines.join());
  }
}

// It installs its client first, which takes the longest.
test.concurrent('OpenAI for Python with its retries pays once at each door', async () => {
  const receiver = new Receiver();
  const recipe = fileURLToPath(new URL('../fixtures/openai-python', import.meta.url));
  const venv = await ensureVenv({
    folder: path.resolve('.millrace/openai-python-venv'),
    recipe,
    explicitPython: testSettings().MILLRACE_PYTHON,
    env: process.env,
    onStep: (detail) => process.stderr.write(`openai for Python: ${detail}\n`),
  });
  const python = path.join(venv.folder, 'bin', 'python');
  const args = [path.join(recipe, 'retry.py'), `${gateway.url}/v1`, receiver.file];
  const { stdout } = await promisify(execFile)(python, args);
  const { chat, response } = JSON.parse(stdout) as Record<'chat' | 'response', [text: string, retries: number]>;
  expect([chat[0], response[0]]).toEqual([
    expect.stringContaining('for chat from Python'),
    expect.stringContaining('for response from Python'),
  ]);
  expect(Math.min(chat[1], response[1])).toBeGreaterThanOrEqual(1);
  expect(receiver.paid).toEqual(['chat from Python', 'response from Python']);
});

describe.concurrent('OpenAI for Node with its retries', () => {
  const asks: [string, (receiver: Receiver) => Promise<string | null | undefined>][] = [
    [
      'chat',
      async (receiver) => (await client.chat.completions.create(receiver.chat('rent'))).choices[0]?.message.content,
    ],
    [
      'responses',
      async ({ file }) => (await client.responses.create({ model: 'paying', input: `rent|${file}` })).output_text,
    ],
  ];
  test.each(asks)('%s: pays once, and the retry gets the answer of the same run', async (_, ask) => {
    const receiver = new Receiver();
    expect(await ask(receiver)).toMatch('for rent');
    expect(receiver.paid).toEqual(['rent']);
  });

  test('a stream that has not begun: the retry follows the same run', async () => {
    const receiver = new Receiver();
    let text = '';
    for await (const chunk of await client.chat.completions.create({ ...receiver.chat('rent'), stream: true }))
      text += chunk.choices[0]?.delta.content ?? '';
    expect(text).toMatch('for rent');
    expect(receiver.paid).toEqual(['rent']);
  });

  test('two clients that send the same at once pay twice, and none of their retries pays', async () => {
    const receiver = new Receiver();
    // They give up when both have paid: the gateway starts no second run for who has left before.
    const giveUp = new AbortController();
    const patient = new OpenAI({
      baseURL: `${gateway.url}/v1`,
      apiKey: 'none',
      maxRetries: MOST_RETRIES,
      fetch: (url, init = {}) => {
        const first = new Headers(init.headers).get('x-stainless-retry-count') === '0';
        return fetch(
          url,
          first ? { ...init, signal: AbortSignal.any([init.signal, giveUp.signal].filter((each) => !!each)) } : init,
        );
      },
    });
    const both = [1, 2].map(() => patient.chat.completions.create(receiver.held('rent')).withResponse());
    await receiver.until('rent', 'rent');
    giveUp.abort();
    receiver.release();
    for (const { data, response } of await Promise.all(both)) {
      expect(data.choices[0]?.message.content).toMatch('for rent');
      expect(response.headers.get('idempotency-replayed')).toBe('true');
    }
    expect(receiver.paid).toEqual(['rent', 'rent']);
  });

  test('a run that fails after it has paid is resumed by the retry: it does not pay again', async () => {
    const receiver = new Receiver();
    const completion = await client.chat.completions.create(receiver.chat('rent', 'failing'));
    expect(completion.choices[0]?.message.content).toBe('confirmed');
    expect(receiver.paid).toEqual(['rent']);
  });

  test('in a conversation: the retry goes on from where the request did, and gets the same run', async () => {
    const receiver = new Receiver();
    const { id: conversation } = await client.conversations.create({});
    const input = `rent|${receiver.file}`;
    expect((await client.responses.create({ model: 'paying', input, conversation })).output_text).toMatch('for rent');
    expect(receiver.paid).toEqual(['rent']);
  });

  test('the gateway dies: the retry reaches another one, which has the same run', async () => {
    const receiver = new Receiver();
    const dying = await GatewayProcess.start(settings);
    let base = dying.url;
    const balanced = new OpenAI({
      baseURL: `${gateway.url}/v1`,
      apiKey: 'none',
      fetch: (url, init) => fetch(String(url).replace(gateway.url, base), init),
    });
    const completion = balanced.chat.completions.create(receiver.held('rent')).withResponse();
    await receiver.until('rent');
    base = gateway.url;
    await dying.stop('SIGKILL');
    receiver.release();
    const { data, response } = await completion;
    expect(data.choices[0]?.message.content).toMatch('for rent');
    expect(response.headers.get('idempotency-replayed')).toBe('true');
    expect(receiver.paid).toEqual(['rent']);
  });
});

test.concurrent('Anthropic for Node with its retries pays once, and the retry gets the answer of the same run', async () => {
  const receiver = new Receiver();
  const anthropic = new Anthropic({ baseURL: gateway.url, apiKey: 'none', timeout: 3_000, maxRetries: MOST_RETRIES });
  const { content } = await anthropic.messages.create({ ...receiver.chat('rent'), max_tokens: 64 });
  expect(content).toMatchObject([{ type: 'text', text: expect.stringContaining('for rent') }]);
  expect(receiver.paid).toEqual(['rent']);
});

describe.concurrent('any client', () => {
  test('HTTP with a wait: a retry that says so gets the run that was left', async () => {
    const receiver = new Receiver();
    const post = async (headers: Record<string, string>, signal?: AbortSignal) =>
      fetch(`${gateway.url}/v1/pipelines/paying/runs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', prefer: 'wait=60', ...headers },
        body: JSON.stringify({ prompt: `rent|${receiver.file}|held` }),
        ...(signal && { signal }),
      });
    const left = new AbortController();
    const first = post({}, left.signal).catch(() => 'left');
    await receiver.until('rent');
    left.abort();
    expect(await first).toBe('left');
    receiver.release();
    const second = await post({ 'x-stainless-retry-count': '1' });
    expect(await second.json()).toMatchObject({ output: { text: expect.stringContaining('for rent') } });
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    expect(receiver.paid).toEqual(['rent']);
  });

  test('a request that states it has its run cancelled when its client leaves', async () => {
    const receiver = new Receiver();
    const before = await cancelledRuns();
    const left = new AbortController();
    // It leaves when it has paid, and not by itself before: that would cancel a run, too.
    const options = { headers: { 'millrace-on-leave': 'cancel' }, signal: left.signal, timeout: 120_000 };
    const request = client.chat.completions.create(receiver.held('rent'), options).catch(() => 'left');
    await receiver.until('rent');
    left.abort();
    expect(await request).toBe('left');
    await until('its run is cancelled', async () => (await cancelledRuns()) > before);
  });

  const cancelledRuns = async (): Promise<number> => {
    const page = await fetch(`${gateway.url}/v1/runs?pipeline=paying&status=cancelled&limit=100`);
    return ((await page.json()) as RunPage).runs.length;
  };
});
