import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Backend } from '../../../../activities/connectors/connector.js';
import { failure, invoke, SimulatedServer } from './openai-server.js';

let server: SimulatedServer;
let backend: Backend;
beforeEach(async () => {
  server = await SimulatedServer.start();
  backend = server.connect();
  answers(200);
});
afterEach(() => server.stop());

const answers = (status: number) => server.json(status, { message: 'as it is' });
const lists = (owner: string) => {
  server.models = { status: 200, body: { data: [{ id: 'm', owned_by: owner }] } };
};
const ready = async (of = backend) => of.ready?.('m', AbortSignal.timeout(110_000));
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

  it('is bad when it cannot be reached, of whatever software it is', async () => {
    lists('openai');
    expect(await ready()).toBe(false);
    await server.stop();
    expect(await failure(ready())).toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
  });
});
