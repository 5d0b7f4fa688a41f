import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Backend } from '../../../../activities/connectors/connector.js';
import { failure, invoke, SimulatedServer } from './openai-server.js';

let server: SimulatedServer;
let backend: Backend;
/** By how much the clock of intervals is ahead, in milliseconds. */
let laterMs = 0;
beforeEach(async () => {
  laterMs = 0;
  const now = performance.now.bind(performance);
  vi.spyOn(performance, 'now').mockImplementation(() => now() + laterMs);
  server = await SimulatedServer.start();
  backend = server.connect();
  answers(200);
});
afterEach(async () => {
  vi.restoreAllMocks();
  backend.close();
  await server.stop();
});

const answers = (status: number) => server.json(status, { message: 'as it is' });
const lists = (owner: string) => {
  server.models = { status: 200, body: { data: [{ id: 'm', owned_by: owner }] } };
};
const ready = async (of = backend) => of.ready?.('m', AbortSignal.timeout(110_000));
const PATIENT = { timeout: 10_000 };
/** Paths of the requests beside those for the models. */
const asked = () => server.received.map(({ url }) => url);

describe('the health of a server of OpenAI’s API', () => {
  it.each(['openai', 'library', 'a-team'])('of other software, by %s, may cost money: not asked for', async (owner) => {
    lists(owner);
    expect(await ready()).toBe(false);
    expect(await ready()).toBe(false);
    expect(asked()).toEqual([]);
  });

  it('is not asked for where the pool says that it is another, nor where it lists no models', async () => {
    expect(await ready()).toBe(false);
    lists('vllm');
    expect(await ready(server.connect({ server: 'other' }))).toBe(false);
    expect(asked()).toEqual([]);
  });

  it.each(['vllm', 'sglang', 'llamacpp'])('is its own report, at %s', async (owner) => {
    lists(owner);
    expect(await ready()).toBe(true);
    answers(404);
    expect(await ready()).toBe(false);
    answers(503);
    expect(await failure(ready())).toMatchObject({ code: 'BACKEND_UNAVAILABLE', details: { unsent: true } });
    expect(asked()).toEqual(['/health', '/health', '/health']);
  });

  it('is asked for where the pool says what is behind a router', async () => {
    expect(await ready(server.connect({ server: 'vllm' }))).toBe(true);
    server.models = { status: 503, body: {} };
    expect(await ready(server.connect({ server: 'vllm' }))).toBe(true);
    expect(asked()).toEqual(['/health', '/health']);
  });

  it('is still asked for where a server that is known does not list its models for once', async () => {
    lists('vllm');
    expect(await ready()).toBe(true);
    server.models = { status: 500, body: {} };
    expect(await ready()).toBe(true);
    expect(asked()).toEqual(['/health', '/health']);
  });

  it('is bad while one that is not known answers 503', async () => {
    server.models = { status: 503, body: {} };
    expect(await failure(ready())).toMatchObject({ code: 'BACKEND_UNAVAILABLE', details: { unsent: true } });
    lists('vllm');
    expect(await ready()).toBe(true);
    expect(asked()).toEqual(['/health']);
  });

  it('is bad while llama.cpp loads its model, which some builds list without a name', async () => {
    server.models = { status: 200, body: { data: [{ id: '', owned_by: 'llamacpp', meta: null }] } };
    answers(503);
    const loading = { code: 'BACKEND_UNAVAILABLE', details: { unsent: true } };
    expect(await failure(ready())).toMatchObject(loading);
    expect(await failure(invoke(backend, { kind: 'chat' }))).toMatchObject(loading);
    lists('llamacpp');
    answers(200);
    expect(await ready()).toBe(true);
    expect(asked()).toEqual(['/health']);
  });

  it('of other software is its list of models, read once a minute', async () => {
    lists('openai');
    for (let i = 0; i < 3; i++) expect(await ready()).toBe(false);
    expect(server.listed).toBe(1);
    laterMs = 60_000;
    expect(await ready()).toBe(false);
    expect(await ready()).toBe(false);
    await expect.poll(() => server.listed, PATIENT).toBe(2);
  });

  it('of other software is not that of a slow list', async () => {
    lists('openai');
    expect(await ready()).toBe(false);
    laterMs = 60_000;
    server.listsNothing = true;
    expect(await ready()).toBe(false);
    await expect.poll(() => server.listed, PATIENT).toBe(2);
    expect(await ready()).toBe(false);
  });

  it('of other software is read again where the list tells of another', async () => {
    lists('openai');
    expect(await ready()).toBe(false);
    lists('vllm');
    laterMs = 60_000;
    await expect.poll(() => ready(), PATIENT).toBe(true);
  });

  it('is bad when it cannot be reached, within a minute also where it is of other software', async () => {
    lists('openai');
    expect(await ready()).toBe(false);
    await server.stop();
    expect(await ready()).toBe(false);
    laterMs = 60_000;
    const state = () =>
      ready().then(
        () => 'there',
        ({ code }) => code,
      );
    await expect.poll(state, PATIENT).toBe('BACKEND_UNAVAILABLE');
  });

  it('is bad at once after a call that could not reach it', async () => {
    lists('openai');
    expect(await ready()).toBe(false);
    await server.stop();
    expect((await failure(invoke(backend, { kind: 'chat' }))).code).toBe('BACKEND_UNAVAILABLE');
    expect((await failure(ready())).code).toBe('BACKEND_UNAVAILABLE');
  });
});
