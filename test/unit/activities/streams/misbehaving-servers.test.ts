import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { Backend } from '../../../../activities/connectors/connector.js';
import { createConnectors } from '../../../../activities/connectors/index.js';
import type { RegisteredConnector } from '../../../../activities/connectors/registered.js';
import { Pools, parseModels } from '../../../../activities/pools/index.js';
import { StageRunner } from '../../../../activities/stage/stage-runner.js';
import type { Artifact } from '../../../../pipelines/artifact.js';
import { chat, pipeline, synthesize } from '../../../../pipelines/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { sha256Hex } from '../../../../pipelines/plan/hash.js';
import { place } from '../../../../placement/place.js';
import { MemoryChannelLog } from '../../../../stores/channels/index.js';
import { createMetrics } from '../../../../telemetry/metrics.js';
import { runInProcess } from '../../../../workers/hosts/in-process-host.js';
import { recordingLogger } from '../../../support/caches.js';
import { idleParts } from '../../../support/runner-parts.js';
import { unlessStill } from '../../../support/unless-still.js';
import { chatDelta } from '../connectors/servers/fixture-server.js';

/**
 * An LLM server whose faults no real one can be made to have, behind the connector, a pool, channels and the interpreter as they are. Only
 * the voice is a stand-in: it keeps what it has said.
 */

const ANSWER = 'One sentence is here. A second one follows. And a third one ends it.';
const SENTENCES = ['One sentence is here.', 'A second one follows.', 'And a third one ends it.'];
const SILENT_MS = 1_500;
/** The same where the next call has to be answered in time: a machine may stand still for seconds. */
const PATIENT_MS = 3_000;
/** And where no call is silent: nobody waits that long. */
const NEVER_SILENT_MS = 8_000;
const limits = (silentMs: number) =>
  ({ attempt: '10s', total: '25s', firstChunk: `${silentMs}ms`, idle: `${silentMs}ms` }) as const;
const LIMIT = { timeout: 60_000 };

/** What the server does with one call. `given`: the beginning of the answer that it is to continue. */
type Behaviour = (response: ServerResponse, given: string) => void | Promise<void>;

const events = (response: ServerResponse) => response.writeHead(200, { 'content-type': 'text/event-stream' });
const tell = (text: string) => (text.match(/.{1,6}/gs) ?? []).map((part) => chatDelta(part)).join('');
const says =
  (text: string): Behaviour =>
  (response) => {
    events(response).end(`${tell(text)}${chatDelta('', 'stop')}data: [DONE]\n\n`);
  };
/** As vLLM does with `continue_final_message`. */
const continues: Behaviour = (response, given) => says(ANSWER.slice(given.length))(response, given);
/** The first sentence and a half. */
const HALF = ANSWER.slice(0, 34);
const thenResets =
  (text: string | Buffer): Behaviour =>
  (response) => {
    events(response).write(text, () => setTimeout(() => response.destroy(), 50));
  };
const thenIsSilent =
  (text: string): Behaviour =>
  (response) => {
    events(response).write(text === '' ? ': \n\n' : text);
  };
const endless =
  (first: string, next: string): Behaviour =>
  (response) => {
    events(response).write(first);
    const timer = setInterval(() => response.write(next), 20);
    response.on('close', () => clearInterval(timer));
  };
const limited: Behaviour = (response) => {
  const error = { message: 'Rate limit reached', type: 'rate_limit_error', code: 429 };
  events(response).end(`${tell(HALF)}data: ${JSON.stringify({ error })}\n\n`);
};

interface Asked {
  readonly timeout?: object;
  readonly onCut?: string;
  readonly channels?: MemoryChannelLog;
  /** Awaited by the voice before it has said something. */
  readonly speaking?: () => Promise<void>;
}

/** Runs a question through an LLM that behaves as told, call by call, and a voice. */
async function ask(
  server: 'vllm' | 'other',
  { channels = new MemoryChannelLog(), speaking = async () => undefined, ...options }: Asked,
  ...behaviours: readonly Behaviour[]
) {
  let calls = 0;
  const llm = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (!request.url?.endsWith('/chat/completions')) {
      const type = { 'content-type': 'application/json' };
      return void response.writeHead(200, type).end(JSON.stringify({ data: [{ id: 'm', owned_by: server }] }));
    }
    const { messages } = JSON.parse(Buffer.concat(chunks).toString()) as {
      messages: { role: string; content: string }[];
    };
    const last = messages.at(-1);
    // The pool asks whether the server is well again.
    if (last?.role === 'user' && last.content !== 'Why?') return void (await says('Yes.')(response, ''));
    const behave = behaviours[Math.min(calls++, behaviours.length - 1)] as Behaviour;
    await behave(response, last?.role === 'assistant' ? last.content : '');
  });
  llm.listen(0, '127.0.0.1');
  await once(llm, 'listening');
  const url = `http://127.0.0.1:${(llm.address() as AddressInfo).port}/v1`;
  const said: string[] = [];
  const voice: RegisteredConnector = {
    ...{ name: 'voice', kinds: new Set(['synthesize']), capabilities: new Set<never>(), check: () => undefined },
    connect: (endpoint): Backend => ({
      endpoint,
      async invoke({ input }) {
        said.push(String(input.text));
        await speaking();
        return { output: { audio: audioOf(String(input.text)) } };
      },
      probe: async () => undefined,
      fingerprint: async () => 'weights',
      close: () => undefined,
    }),
  };
  const metrics = createMetrics();
  const { logger } = recordingLogger();
  const pools = new Pools({
    models: parseModels(
      {
        llm: { connector: 'openai', model: 'm', kind: 'chat', endpoints: [{ url, device: 'cpu0' }] },
        tts: { connector: 'voice', model: 'v', kind: 'synthesize', endpoints: [{ url: 'x', device: 'cpu0' }] },
      },
      'test',
    ),
    connectors: new Map([...createConnectors(), ['voice', voice]]),
    metrics,
    logger,
    // An endpoint that has failed is asked soon whether it answers.
    canaryIntervalMs: 100,
  });
  const runner = new StageRunner({
    ...idleParts(),
    pools,
    streams: {
      channels,
      join: async (_, pieces) => audioOf(pieces.map(textOf).join(' ')) as unknown as Artifact,
      convert: async (_, piece) => piece,
    },
    metrics,
    logger,
  });
  const narrator = pipeline('narrator', { input: z.object({ question: z.string() }) }, ({ input, stage }) => {
    const timeout = limits(SILENT_MS);
    const retry = { attempts: 2, backoff: { initial: '10ms' } } as const;
    const told = stage(
      'answer',
      chat({ model: 'llm' }),
      { prompt: input.question },
      { timeout, retry, ...(options as object) },
    );
    const { audio } = stage('speak', synthesize({ model: 'tts' }), { text: told.sentences });
    return { text: told.text, audio };
  });
  const description = (model: string) => ({
    ...{ connector: model === 'llm' ? 'openai' : 'voice', kind: model === 'llm' ? 'chat' : 'synthesize' },
    ...{ devices: ['cpu0'], capabilities: new Set(['stream'] as const) },
  });
  const context = { plan: narrator.plan, placement: place(narrator.plan, description, 'q'), tenant: 't' };
  const began = performance.now();
  const ended = await runInProcess({ question: 'Why?' }, context, { runner, run: 'r' }).then(
    ({ output }) => ({ output: output as JsonObject, code: undefined }),
    (error: { code: string }) => ({ output: undefined, code: error.code }),
  );
  pools.close();
  llm.close();
  llm.closeAllConnections();
  return { ...ended, said, calls, tookMs: performance.now() - began };
}

/** Audio that says a text, in the shape that stages check. */
function audioOf(text: string) {
  const sha256 = sha256Hex(text);
  texts.set(sha256, text);
  return { uri: `artifact://t/${sha256}`, sha256, mime: 'audio/wav', bytes: 1 };
}
const texts = new Map<string, string>();
const textOf = (audio: Artifact | undefined): string => texts.get(audio?.sha256 ?? '') ?? '';

/** Each of these is what the first call gets; the second one is answered well. `silent`: only its silence tells. */
const FAULTS: readonly [string, Behaviour, 'silent'?][] = [
  ['headers, then silence', thenIsSilent(''), 'silent'],
  ['a sentence and a half, then silence', thenIsSilent(tell(HALF)), 'silent'],
  ['a sentence and half a token, then a reset', thenResets(`${tell(HALF)}data: {"choices":[{"delta":{"con`)],
  [
    'half a character, then a reset',
    thenResets(Buffer.concat([Buffer.from(`${tell(HALF)}data: {"x":"`), Buffer.of(0xc3)])),
  ],
  ['the end of the stream without its reason', (response) => void events(response).end(tell(HALF))],
  ['spaces only', endless('', chatDelta(' '.repeat(50))), 'silent'],
  ['roles and nothing else', endless('', 'data: {"choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n'), 'silent'],
  ['a sentence, then spaces, then a reset', thenResets(`${tell(HALF)}${chatDelta(' '.repeat(900))}`)],
  ['429 in mid-stream', limited],
  [
    'an error that is no JSON',
    (response) => void events(response).end(`${tell(HALF)}data: <html>Bad gateway</html>\n\n`),
  ],
];

describe.concurrent.each(['vllm', 'other'] as const)('a streamed answer of a server (%s) that sends', (server) => {
  it.each(FAULTS)('%s goes on, and nothing is spoken twice', LIMIT, (_, fault, silent) =>
    unlessStill(async () => {
      const timeout = limits(silent ? PATIENT_MS : NEVER_SILENT_MS);
      const again = server === 'vllm' ? continues : says(ANSWER);
      const { output, said, calls, code } = await ask(server, { timeout }, fault, again);
      expect({ code, calls }).toEqual({ code: undefined, calls: 2 });
      expect(said).toEqual(SENTENCES);
      expect(output?.text).toBe(ANSWER);
      expect(textOf(output?.audio as unknown as Artifact)).toBe(ANSWER);
    }),
  );

  it.each(FAULTS)('%s at every call ends with a code within its limits', LIMIT, async (_, fault) => {
    const { code, said, calls, tookMs } = await ask(server, {}, fault);
    expect(code).toMatch(/^(FIRST_CHUNK_TIMEOUT|IDLE_TIMEOUT|STAGE_TIMEOUT|BACKEND_[A-Z_]+|INVALID_OUTPUT)$/);
    expect(calls).toBeLessThanOrEqual(2);
    // Less than the stage's total: the silence of two attempts, and what a loaded machine adds.
    expect(tookMs).toBeLessThan(25_000);
    expect(new Set(said).size).toBe(said.length);
  });
});

describe('a streamed answer whose second attempt says something else', () => {
  const timeout = limits(NEVER_SILENT_MS);

  it('is cut', async () => {
    const { code, said } = await ask('other', { timeout }, thenResets(tell(HALF)), says('Something else. Yes.'));
    expect(code).toBe('STREAM_CUT');
    expect(said).toEqual(SENTENCES.slice(0, said.length));
    expect(said.length).toBeLessThanOrEqual(1);
  });

  it('ends with what is spoken if its author accepts that', async () => {
    const options = { timeout, onCut: 'end' };
    const { output, said } = await ask('other', options, thenResets(tell(HALF)), says('Something else. Yes.'));
    expect(output?.text).toBe(SENTENCES[0]);
    expect(said).toEqual(SENTENCES.slice(0, 1));
  });

  it('starts over with it where nothing has been heard, if its author wants that', async () => {
    const options = { timeout, onCut: 'restart' };
    const channels = new MemoryChannelLog();
    const end = async () => (await channels.read({ run: 'r', path: 'answer', of: 'sentences' }, 0, 0))?.end;
    const speaking = () => vi.waitFor(async () => expect(await end()).toBe('{"as":"void"}'), LIMIT);
    const answers = [thenResets(tell(HALF)), says('Something else. Yes.')];
    const { output, said } = await ask('other', { ...options, channels, speaking }, ...answers);
    expect(output?.text).toBe('Something else. Yes.');
    expect(said).toEqual([SENTENCES[0], 'Something else.', 'Yes.']);
    expect(textOf(output?.audio as unknown as Artifact)).toBe('Something else. Yes.');
  });

  it('is cut where a sentence has been heard, whatever its author wants', async () => {
    const options = { timeout, onCut: 'restart' };
    const channels = new MemoryChannelLog();
    const heard = async () => (await channels.read({ run: 'r', path: 'speak', of: 'chunks' }, 0, 0))?.count;
    const again: Behaviour = async (response, given) => {
      await vi.waitFor(async () => expect(await heard()).toBe(1), LIMIT);
      await says('Something else. Yes.')(response, given);
    };
    const { code, said } = await ask('other', { ...options, channels }, thenResets(tell(HALF)), again);
    expect(code).toBe('STREAM_CUT');
    expect(said).toEqual(SENTENCES.slice(0, 1));
  });

  it('goes on with it where the server continues its own text', async () => {
    const answers = [thenResets(tell(HALF)), says(' Then something else. Yes.')];
    const { output, said } = await ask('vllm', { timeout }, ...answers);
    expect(said).toEqual([SENTENCES[0], 'Then something else.', 'Yes.']);
    expect(output?.text).toBe(`${SENTENCES[0]} Then something else. Yes.`);
  });
});
