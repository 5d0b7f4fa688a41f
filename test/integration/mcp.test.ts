import { readFile } from 'node:fs/promises';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { CallToolResultSchema, type Progress } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { voiceAssistant } from '../../pipelines/catalog/index.js';
import type { Pipeline } from '../../pipelines/index.js';
import { CallLog, until } from '../support/runs.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';
import { LATE_ONCE } from '../support/soonest.js';
import { unlessStill } from '../support/unless-still.js';

const MODULE = 'test/fixtures/mcp-pipelines.mjs';
const fixtures = (await import('../fixtures/mcp-pipelines.mjs' as string)) as Record<string, Pipeline>;

/** A cancelled run reaches its stage within a second; a busy machine may see it a second later. */
const CANCELLED_MS = 2_000;

let served: ServedPipelines;
let client: Client;

async function connected(headers: Record<string, string> = {}): Promise<Client> {
  const fresh = new Client({ name: 'millrace-test', version: '1' });
  const transport = new StreamableHTTPClientTransport(new URL(`${served.url}/mcp`), { requestInit: { headers } });
  await fresh.connect(transport as Transport);
  return fresh;
}

beforeAll(async () => {
  const all = [voiceAssistant, ...Object.values(fixtures)] as unknown as Parameters<typeof servePipelines>[0];
  served = await servePipelines(all, { more: { MILLRACE_PIPELINES: MODULE } });
  client = await connected();
});
afterAll(async () => {
  await client.close();
  await served.close();
});

const call = (name: string, args: object = {}, onprogress?: (progress: Progress) => void) =>
  client.callTool({ name, arguments: { ...args } }, CallToolResultSchema, { ...(onprogress && { onprogress }) });

describe('the MCP door', () => {
  it('offers pipelines as tools that the SDK’s client can call, media in and out', () =>
    // A worker that stands still for longer than its heartbeats repeats a stage, and tells so.
    unlessStill(async () => {
      const { tools } = await client.listTools();
      const tool = tools.find(({ name }) => name === 'voice_assistant');
      expect(tool).toMatchObject({
        description: voiceAssistant.description,
        inputSchema: { required: ['speech'], properties: { speech: { type: 'object' } } },
        outputSchema: { required: ['transcript', 'reply', 'speech'] },
      });
      const base64 = (await readFile('deploy/local/audio/question.wav')).toString('base64');
      const progress: Progress[] = [];
      // The client checks the result against the tool’s output schema.
      const result = await call('voice_assistant', { speech: { base64 } }, (each) => progress.push(each));
      const { transcript, speech } = result.structuredContent as {
        transcript: string;
        speech: { uri: string; href: string };
      };
      expect(transcript).toMatch(/capital of France/);
      const [written, audio] = result.content as [{ text: string }, { type: string; data: string; mimeType: string }];
      expect(JSON.parse(written.text)).toEqual(result.structuredContent);
      expect(audio).toMatchObject({ type: 'audio', mimeType: 'audio/wav' });
      const bytes = Buffer.from(await (await fetch(`${served.url}${speech.href}`)).arrayBuffer());
      expect(Buffer.from(audio.data, 'base64').equals(bytes)).toBe(true);
      // The voice may begin before the answer is finished.
      const messages = ['transcribe', 'answer', 'speak'].flatMap((stage) => [`${stage} started`, `${stage} finished`]);
      const told = progress.map(({ message = '' }) => message);
      expect(told[0]).toMatch(/^run voice-assistant-/);
      const said = told.filter((message) => message.startsWith('answer: '));
      expect(said.join(' ')).toMatch(/Paris/);
      expect(
        told
          .filter((message) => !said.includes(message))
          .slice(1)
          .sort(),
      ).toEqual(messages.sort());
      expect(progress.map((each) => each.progress)).toEqual(told.map((_, i) => i + 1));
      // What a tool has made is what another takes.
      const again = await call('voice_assistant', { speech: { uri: speech.uri } });
      expect(again.isError).toBeFalsy();
    }));

  it('says in the result what went wrong, and that a tool is not there as the protocol has it', async () => {
    expect(await call('test_error_handling')).toMatchObject({
      isError: true,
      content: [{ type: 'text', text: expect.stringContaining('CODE_FAILED: ') }],
      _meta: { 'millrace/code': 'CODE_FAILED', 'millrace/run': expect.stringMatching(/^test-error-handling-/) },
    });
    expect(await call('voice_assistant', { speech: { base64: 'AAAA' }, volume: 3 })).toMatchObject({
      isError: true,
      content: [{ text: expect.stringMatching(/^INVALID_INPUT: volume/) }],
      _meta: { 'millrace/fields': [{ field: 'volume', message: 'unknown field' }] },
    });
    await expect(call('no_such_tool')).rejects.toMatchObject({ code: -32602 });
  });

  it.each([
    ['the client cancels the call', 'cancelled'],
    ['the client’s connection is gone', 'dropped'],
  ])('cancels the run within a second when %s', LATE_ONCE, async (_, way) => {
    const own = await connected();
    const log = new CallLog();
    const abort = new AbortController();
    const calling = own
      .callTool({ name: 'endless', arguments: { log: log.file } }, CallToolResultSchema, { signal: abort.signal })
      .catch((error: unknown) => error);
    await until('the stage runs', () => log.count('starts') > 0);
    if (way === 'cancelled') abort.abort('no longer wanted');
    else await own.close();
    await until('the stage is stopped', () => log.count('stopped') > 0, CANCELLED_MS);
    expect(await calling).toBeInstanceOf(Error);
    await own.close();
  });

  it('goes on with a session that another gateway began', async () => {
    const session = 'a-session-of-before';
    const response = await fetch(`${served.url}/mcp`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-session-id': session,
        'mcp-protocol-version': '2025-11-25',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'test_simple_text' } }),
    });
    expect(response.status).toBe(200);
    const [data = ''] = /(?<=^data: )\{.*\}$/m.exec(await response.text()) ?? [];
    expect(JSON.parse(data)).toMatchObject({ id: 7, result: { structuredContent: { text: expect.any(String) } } });
  });
});
