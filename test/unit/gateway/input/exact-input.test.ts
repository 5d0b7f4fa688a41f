import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TASKS } from '../../../../gateway/mcp/task.js';
import type { RunDocument } from '../../../../runs/document.js';
import { multipartBody, type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { nonceOf } from '../../../support/waits.js';
import { wavFile } from '../../../support/wav-samples.js';

/* A run gets what its caller has sent, or nothing: letters and digits are not lost without a word. */

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await testGateway();
});
afterEach(() => gateway.close());

const wav = wavFile();
const headers = { 'content-type': 'application/json' };
const post = (request: { headers: Record<string, string>; payload: Buffer | string }, name = 'listen') =>
  gateway.app.inject({ method: 'POST', url: `/v1/pipelines/${name}/runs`, ...request });
const inputOf = (response: { json(): unknown }) => (response.json() as RunDocument).input;
const refusal = (status: number, code: string, field: string) => ({
  status,
  code,
  errors: [expect.objectContaining({ field })],
});

describe('text', () => {
  /** With the byte of `ü` in ISO 8859-1 in place of the first `~`. */
  const inLatin1 = <T extends { readonly payload: Buffer }>(request: T): T => {
    request.payload[request.payload.indexOf('~')] = 0xfc;
    return request;
  };

  it('in another encoding than UTF-8 is refused', async () => {
    const text = '{"language": "m~nchnerisch"}';
    const type = { 'content-type': 'application/json; charset=iso-8859-1' };
    const bare = await post(inLatin1({ headers: type, payload: Buffer.from(text) }));
    expect(bare.json()).toMatchObject(refusal(400, 'INVALID_JSON', 'body'));
    for (const as of ['application/json', 'text/plain']) {
      const input = await post(inLatin1(multipartBody([['input', text, as]])));
      expect(input.json()).toMatchObject(refusal(400, 'INVALID_JSON', 'input'));
    }
    const part = await post(inLatin1(multipartBody([['language', 'm~nchnerisch']])));
    expect(part.json()).toMatchObject(refusal(422, 'INVALID_INPUT', 'language'));
    expect(gateway.temporal.runs.size).toBe(0);
  });

  it('in JSON may follow a byte order mark, as Windows writes it', async () => {
    const rest = { language: 'de', beams: 3 };
    const expected = { speech: expect.objectContaining({ bytes: wav.length }), ...rest };
    const payload = `\ufeff${JSON.stringify({ speech: { base64: wav.toString('base64') }, ...rest })}`;
    expect(inputOf(await post({ headers, payload }))).toEqual(expected);
    const form = multipartBody([
      ['input', `\ufeff${JSON.stringify(rest)}`],
      ['speech', wav],
    ]);
    expect(inputOf(await post(form))).toEqual(expected);
  });
});

describe('an integer', () => {
  const asked = async (payload: string) => (await post({ headers, payload })).json<unknown>();

  it('that a number does not hold is refused', async () => {
    expect(await asked('{"beams": 9007199254740993}')).toMatchObject(refusal(422, 'INVALID_INPUT', 'beams'));
    const nested = '\ufeff{"language": {"ids": ["90071992547409931", 12345678901234567891]}}';
    expect(await asked(nested)).toMatchObject(refusal(422, 'INVALID_INPUT', 'language.ids.1'));
    expect(await asked(`{"beams": -${'9'.repeat(400)}}`)).toMatchObject(refusal(422, 'INVALID_INPUT', 'beams'));
    for (const [name, text, field] of [
      ['beams', '9007199254740993', 'beams'],
      ['input', '{"beams": [9007199254740993]}', 'beams.0'],
    ] as const)
      expect((await post(multipartBody([[name, text]]))).json()).toMatchObject(refusal(422, 'INVALID_INPUT', field));
    expect(gateway.temporal.runs.size).toBe(0);
  });

  it('in a text keeps its digits', async () => {
    const payload = '{"name": "9007199254740993, 123456789012345678901"}';
    expect(inputOf(await post({ headers, payload }, 'greet'))).toEqual(JSON.parse(payload));
  });
});

describe('an integer that a number does not hold, at doors with errors of their own', () => {
  const LONG = 'is an integer of more digits than a number holds (above 2^53); send it as a text';
  const rpc = (url: string, payload: string, more: Record<string, string> = {}) =>
    gateway.app.inject({ method: 'POST', url, headers: { ...headers, ...more }, payload });

  it('is refused in a message of A2A by its part', async () => {
    const message = (value: string, id = '1') =>
      `{"jsonrpc":"2.0","id":${id},"method":"SendMessage","params":{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"data":{"name":${value}}}]}}}`;
    const send = (payload: string) => rpc('/a2a/greet', payload, { 'a2a-version': '1.0' });
    const field = 'message.parts.0.data.name';
    expect((await send(message('[1, 9007199254740993]'))).json()).toMatchObject({
      id: 1,
      error: {
        code: -32602,
        data: [{ reason: 'INVALID_INPUT' }, { fieldViolations: [{ field: `${field}.1`, description: LONG }] }],
      },
    });
    expect(gateway.temporal.runs.size).toBe(0);
  });

  it('is refused in a call of MCP by its argument, and alone in its batch', async () => {
    gateway.temporal.onStart = (run) => run.end({ output: {}, stages: [] });
    const call = (id: number, value: string) =>
      `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"greet","arguments":{"name":${value}}}}`;
    const answers = async (payload: string) => {
      const { body } = await rpc('/mcp', payload, { accept: 'application/json, text/event-stream' });
      const messages = [...body.matchAll(/^data: (\{.*\})$/gm)].map(([, data = '']) => JSON.parse(data));
      return new Map(messages.map(({ id, result }) => [id, result]));
    };
    const refused = {
      isError: true,
      _meta: { 'millrace/code': 'INVALID_INPUT', 'millrace/fields': [{ field: 'name', message: LONG }] },
    };
    expect((await answers(call(1, '9007199254740993'))).get(1)).toMatchObject(refused);
    expect(gateway.temporal.runs.size).toBe(0);
    const batch = await answers(`[${call(1, '9007199254740993')},${call(2, '"Ada"')},${call(3, '9007199254740995')}]`);
    expect([1, 3].map((id) => batch.get(id))).toMatchObject([refused, refused]);
    expect(batch.get(2)).not.toHaveProperty('isError', true);
    expect(gateway.temporal.runs.size).toBe(1);
  });
});

describe('an integer that a number does not hold, in a decision', () => {
  const LONG = '9007199254740993';
  const start = async () => {
    const { id } = (await post({ headers, payload: '{"name": "Ada"}' }, 'greet')).json<RunDocument>();
    gateway.temporal.waitAt(['pay']);
    return id;
  };
  const sent = (url: string, payload: string, more: Record<string, string> = {}) =>
    gateway.app.inject({ method: 'POST', url, headers: { ...headers, ...more }, payload });

  it.each(['arguments', 'content'])('is refused in its %s over HTTP', async (member) => {
    const payload = `{"nonce": "${nonceOf('pay')}", "${member}": {"order": ${LONG}}}`;
    const refused = await sent(`/v1/runs/${await start()}/approve`, payload);
    expect(refused.json()).toMatchObject(refusal(422, 'INVALID_INPUT', `${member}.order`));
    expect(gateway.temporal.sent).toEqual([]);
  });

  it('is refused in the response of an MCP client that was asked', async () => {
    const result = `{"action": "accept", "content": {"order": ${LONG}}}`;
    const refused = await sent('/mcp', `{"jsonrpc": "2.0", "id": "answer:${await start()}:n1", "result": ${result}}`);
    expect(refused.json()).toMatchObject({ error: { data: refusal(422, 'INVALID_INPUT', 'content.order') } });
  });

  it('is refused in what an MCP client answers to a task', async () => {
    const meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': { extensions: { [TASKS]: {} } },
    };
    const taskId = await start();
    const answers = `{"n1": {"action": "accept", "content": {"order": ${LONG}}}}`;
    const params = `{"taskId": "${taskId}", "inputResponses": ${answers}, "_meta": ${JSON.stringify(meta)}}`;
    const { body } = await sent('/mcp', `{"jsonrpc": "2.0", "id": 1, "method": "tasks/update", "params": ${params}}`, {
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tasks/update',
      'mcp-name': taskId,
    });
    expect(body).toContain('INVALID_INPUT: inputResponses.n1.content.order: is an integer');
  });
});
