import { describe, expect, it } from 'vitest';
import type { CallContext } from '../../../../activities/connectors/connector.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import { soonest } from '../../../support/soonest.js';
import { describedHttp, json } from './described-http.js';

const { server, call, sentJson } = describedHttp();

const event = (data: object) => `data: ${JSON.stringify(data)}\n\n`;
const SAID = event({ choices: [{ delta: { content: 'Paris.' }, finish_reason: null }] });
const ENDED = event({ choices: [{ delta: {}, finish_reason: 'stop' }] });
const COUNTS = { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 };
const COUNTED = event({ choices: [], usage: COUNTS });
const DONE = 'data: [DONE]\n\n';
const USAGE = { inputTokens: 7, outputTokens: 2 };

const vertex = { preset: 'vertex', values: { project: 'p', location: 'l' } };
const chat = (options: object = vertex, context: Partial<CallContext> = {}) =>
  call(options, { kind: 'chat', input: { prompt: 'p', history: [] }, context });
const streams = (...events: readonly string[]) =>
  server.gives(200, events.join(''), { 'content-type': 'text/event-stream' });
/** A stream that stays open. */
const begins = (...events: readonly string[]) => {
  server.answer = (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(events.join(''));
  };
};

describe('the tokens of a streamed chat completion', () => {
  it.each([
    ['vertex', vertex],
    ['pai-eas', { preset: 'pai-eas' }],
  ])('are asked for at %s, and read behind the reply', async (_, options) => {
    streams(SAID, ENDED, COUNTED, DONE);
    expect(await chat(options)).toEqual({ output: { text: 'Paris.', finish: 'stop' }, usage: USAGE });
    expect(sentJson().stream_options).toEqual({ include_usage: true });
  });

  it('are asked for at azureml where the pool says so: some models there refuse the call', async () => {
    streams(SAID, ENDED, DONE);
    expect((await chat({ preset: 'azureml' })).usage).toEqual({});
    expect(sentJson()).not.toHaveProperty('stream_options');
    streams(SAID, ENDED, COUNTED, DONE);
    expect((await chat({ preset: 'azureml', values: { usage: true } })).usage).toEqual(USAGE);
    expect(sentJson().stream_options).toEqual({ include_usage: true });
  });

  it('are the last of a server that tells them with each event', async () => {
    const so = (tokens: number) => ({ usage: { ...COUNTS, completion_tokens: tokens } });
    const first = event({ choices: [{ delta: { content: 'Oh, ' } }], ...so(1) });
    streams(first, SAID, ENDED, event({ choices: [], ...so(2) }));
    expect((await chat()).usage).toEqual(USAGE);
  });

  it('are those of a whole answer', async () => {
    const choices = [{ message: { content: 'Paris.' }, finish_reason: 'stop' }];
    server.gives(200, JSON.stringify({ choices, usage: COUNTS }), json);
    expect(await chat()).toEqual({ output: { text: 'Paris.', finish: 'stop' }, usage: USAGE });
  });

  it('are not waited for where they come with the reply’s last event', async () => {
    begins(SAID, event({ choices: [{ delta: {}, finish_reason: 'stop' }], usage: COUNTS }));
    const tookMs = await soonest(900, async () => expect((await chat()).usage).toEqual(USAGE));
    expect(tookMs).toBeLessThan(900);
  });

  it('are waited for no longer than a moment', async () => {
    begins(SAID, ENDED);
    expect(await chat()).toEqual({ output: { text: 'Paris.', finish: 'stop' }, usage: {} });
  });

  it.each([
    ['another event', `${event({ choices: [] })}${DONE}`],
    ['an error', `${event({ error: { message: 'too late' } })}${DONE}`],
    ['no JSON', 'data: {\n\n'],
    ['nothing', ''],
  ])('may be missing, with %s in their place: the reply is whole', async (_, behind) => {
    streams(SAID, ENDED, behind);
    expect(await chat()).toEqual({ output: { text: 'Paris.', finish: 'stop' }, usage: {} });
  });

  it('may be missing as the connection breaks off: the reply is whole', async () => {
    server.answer = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(SAID + ENDED, () => setTimeout(() => response.destroy(), 50));
    };
    expect(await chat()).toEqual({ output: { text: 'Paris.', finish: 'stop' }, usage: {} });
  });

  it.each([
    ['is silent for too long', new MillraceError('IDLE_TIMEOUT', 'the answer stalled')],
    ['is over', new Error('enough')],
  ])('are not waited for by a call that %s: the reply is whole', async (_, reason) => {
    begins(SAID, ENDED);
    const leaving = new AbortController();
    const emit = () => void setTimeout(() => leaving.abort(reason), 100);
    expect(await chat(vertex, { signal: leaving.signal, emit })).toEqual({
      output: { text: 'Paris.', finish: 'stop' },
      usage: {},
    });
  });

  it('are no reason to keep a reply that is not whole from being given up', async () => {
    begins(SAID);
    const leaving = new AbortController();
    const reason = new Error('enough');
    const emit = () => void setTimeout(() => leaving.abort(reason), 100);
    await expect(chat(vertex, { signal: leaving.signal, emit })).rejects.toBe(reason);
  });
});
