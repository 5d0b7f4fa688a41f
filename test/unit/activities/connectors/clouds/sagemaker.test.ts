import { afterAll, describe, expect, it } from 'vitest';
import type { Call } from '../../../../../activities/connectors/connector.js';
import { httpConnector } from '../../../../../activities/connectors/http/index.js';
import { optionsOf } from '../../../../../activities/connectors/pool-options.js';
import { connectorContract, invoke } from '../../../../contract/connector-contract.js';
import { freePort } from '../../../../support/free-port.js';
import { asking } from '../../../../support/preset-calls.js';
import { presetConnector } from '../../../../support/preset-connector.js';
import { type Asked, fixture, type Told } from '../servers/fixture-server.js';
import { AWS_KEYS, contractCalls, sagemaker, signatureFault } from './sagemaker-fixture.js';

const key = JSON.stringify(AWS_KEYS);
const values = { region: 'eu-central-1' };

describe('sagemaker (a fixture that checks signatures)', async () => {
  const server = await fixture(sagemaker);
  afterAll(() => server.close());
  connectorContract({
    connector: presetConnector('sagemaker', { values }),
    endpoint: server.url,
    key,
    deadEndpoint: `http://127.0.0.1:${await freePort()}`,
    refused: {},
    ...contractCalls,
  });
});

describe('sagemaker beyond the contract (a fixture that checks signatures)', () => {
  const at = async (
    tell: (asked: Asked) => Told,
    run: (server: Awaited<ReturnType<typeof fixture>>) => Promise<void>,
  ) => {
    const server = await fixture(tell);
    try {
      await run(server);
    } finally {
      await server.close();
    }
  };

  it('names a variant, an inference component, a model, a container and a session in signed headers', () =>
    at(sagemaker, async (server) => {
      const more = { variant: 'blue', component: 'ic-1', targetModel: 'a.tar.gz', container: 'c1', session: 's-1' };
      const backend = presetConnector('sagemaker', { values: { ...values, ...more } }).connect(server.url, key);
      await invoke(backend, asking('text'));
      expect(server.asked[0]?.headers).toMatchObject({
        accept: 'application/json',
        'x-amzn-sagemaker-target-variant': 'blue',
        'x-amzn-sagemaker-inference-component': 'ic-1',
        'x-amzn-sagemaker-target-model': 'a.tar.gz',
        'x-amzn-sagemaker-target-container-hostname': 'c1',
        'x-amzn-sagemaker-session-id': 's-1',
      });
      const green = presetConnector('sagemaker', { values: { ...values, variant: 'green' } }).connect(server.url, key);
      await expect(invoke(green, asking('text'))).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    }));

  it('refused keys are BACKEND_UNAUTHORIZED, and no secret is in the message, though the answer repeats the request', () =>
    at(sagemaker, async (server) => {
      const wrong = { ...AWS_KEYS, secretAccessKey: 'another-secret-of-the-pool' };
      for (const [given, text] of [
        [wrong, 'does not match'],
        [{ ...AWS_KEYS, sessionToken: 'an-expired-session-token' }, 'security token'],
      ] as const) {
        const backend = presetConnector('sagemaker', { values }).connect(server.url, JSON.stringify(given));
        const error = await invoke(backend, asking('text')).catch((thrown: unknown) => thrown);
        expect(error).toMatchObject({ code: 'BACKEND_UNAUTHORIZED', message: expect.stringContaining(text) });
        const shown = `${(error as Error).message} ${String((error as Error).cause ?? '')}`;
        for (const secret of [given.secretAccessKey, given.sessionToken]) expect(shown).not.toContain(secret);
      }
      expect(server.asked).toHaveLength(2);
      const region = presetConnector('sagemaker', { values: { region: 'us-east-1' } }).connect(server.url, key);
      await expect(invoke(region, asking('text'))).rejects.toMatchObject({ code: 'BACKEND_UNAUTHORIZED' });
    }));

  it('a message that is shortened within a secret has no part of it', () => {
    const long = { ...AWS_KEYS, sessionToken: `token-${'0123456789abcdef'.repeat(60)}` };
    const told = (asked: Asked): Told => ({
      status: 403,
      json: { message: `The Canonical String was '${JSON.stringify(asked.headers)}'` },
    });
    return at(told, async (repeating) => {
      const backend = presetConnector('sagemaker', { values }).connect(repeating.url, JSON.stringify(long));
      const error = await invoke(backend, asking('text')).catch((thrown: unknown) => thrown);
      expect((error as Error).message).toMatch(/\*\*\*…$/);
      expect((error as Error).message).not.toContain('token-0123');
    });
  });

  it('signs for the name of the server and with the headers of the pool, where the endpoint is an address', () =>
    at(sagemaker, async (server) => {
      const http = httpConnector();
      const options = optionsOf(http, { kind: 'classify', options: { preset: 'sagemaker', values } }, 'options');
      const link = { serverName: 'runtime.example.com', headers: { 'x-amz-extra': 'of the pool' } };
      const backend = http.connect(server.url, key, options, link);
      try {
        await invoke(backend, asking('text'));
        const { headers } = server.asked[0] as Asked;
        expect(headers.host).toBe(`runtime.example.com:${new URL(server.url).port}`);
        expect(headers.authorization).toContain(';x-amz-extra;');
      } finally {
        backend.close();
      }
    }));

  it('streams in frames; a whole answer, an exception and a broken stream are what they are', () =>
    at(sagemaker, async (server) => {
      const backend = presetConnector('sagemaker', { values }).connect(server.url, key);
      const chat = (prompt: string): Call => ({
        kind: 'chat',
        model: 'model',
        with: {},
        input: { prompt, history: [] },
      });
      const chunks: unknown[] = [];
      await invoke(backend, chat('capital'), undefined, (chunk) => void chunks.push(chunk));
      expect(chunks.slice(0, 2)).toEqual(['Paris,', ' of course']);
      expect(server.asked[0]?.headers['x-amzn-sagemaker-accept']).toBe('text/event-stream');
      expect((await invoke(backend, chat('whole'))).output).toEqual({ text: 'Paris, of course', finish: 'stop' });
      expect((await invoke(backend, chat('lines'))).output).toEqual({ text: 'Paris, of course', finish: 'stop' });
      await expect(invoke(backend, chat('fails'))).rejects.toMatchObject({ code: 'BACKEND_TIMEOUT' });
      await expect(invoke(backend, chat('breaks'))).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
      await expect(invoke(backend, chat('aborts'))).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
      await expect(invoke(backend, chat('dies'))).rejects.toMatchObject({
        code: 'BACKEND_ERROR',
        message: expect.stringContaining('EngineCore died'),
      });
    }));

  it('a clock that is wrong is corrected by the answer, once', () =>
    at(
      (asked) => signatureFault(asked, Date.now() + 3_600_000) ?? { json: [{ label: 'yes', score: 1 }] },
      async (server) => {
        const backend = presetConnector('sagemaker', { values }).connect(server.url, key);
        await invoke(backend, asking('text'));
        await invoke(backend, asking('text'));
        expect(server.asked).toHaveLength(3);
      },
    ));

  it('a key that is none, and a pool without a region, are INVALID_SETTING', () => {
    const connector = presetConnector('sagemaker', { values });
    for (const bad of ['AKIDEXAMPLE', '{"accessKeyId":"AKIDEXAMPLE"}', '{"accessKeyId":"a","secretAccessKey":"b c"}'])
      expect(() => connector.connect('http://x', bad)).toThrow(/apiKey/);
    expect(() => presetConnector('sagemaker', { values: {} })).toThrow(/region/);
    const options = { values, credential: { sign: 'aws-v4', region: 'EU Central' } };
    expect(() => presetConnector('sagemaker', options)).toThrow(/region/);
  });
});
