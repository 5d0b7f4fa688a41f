import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Backend,
  type Connector,
  type Contract,
  connectorContract,
  MillraceError,
} from '../../../../../activities/connectors/public/index.js';
import { acme } from '../../../../support/acme/connector.js';
import { keywords } from '../../../../support/acme/keywords.js';
import { AcmeServer } from '../../../../support/acme/server.js';
import { freePort } from '../../../../support/free-port.js';

/** What the suite finds wrong with a connector. */

const server = new AcmeServer();
const call = { model: 'words', with: { most: 2 }, input: { text: 'boats carry grain' } };
const kind = 'acme/keywords';
let deadEndpoint: string;

beforeAll(async () => {
  await server.start();
  deadEndpoint = `http://127.0.0.1:${await freePort()}`;
});
afterAll(() => server.stop());

/** Runs the suite; the messages of the tests that fail, by their names. */
async function failuresOf(connector: Connector, more: Partial<Contract> = {}): Promise<Record<string, string>> {
  const tests: { readonly name: string; readonly test: () => Promise<void> }[] = [];
  const ends: (() => void)[] = [];
  const within: string[] = [];
  connectorContract(
    {
      describe(name, suite) {
        within.push(name);
        suite();
        within.pop();
      },
      it: (name, test) => void tests.push({ name: [...within.slice(1), name].join(' > '), test }),
      after: (end) => void ends.push(end),
    },
    {
      connector,
      endpoint: server.url,
      key: AcmeServer.key,
      deadEndpoint,
      kinds: [keywords],
      calls: { [kind]: { call } },
      longCall: { ...call, kind, input: { text: 'slow' } },
      badCall: { ...call, kind, input: { text: '' } },
      ...more,
    },
  );
  const failed: Record<string, string> = {};
  for (const { name, test } of tests) {
    await test().catch((error: Error) => {
      failed[name] = error.message;
    });
  }
  for (const end of ends) end();
  return failed;
}

/** Acme's connector with parts of its backend replaced. */
const changed = (change: (real: Backend) => Partial<Backend>, more: Partial<Connector> = {}): Connector => ({
  ...acme,
  ...more,
  connect(endpoint, key) {
    const real = acme.connect(endpoint, key);
    const own: Backend = {
      endpoint,
      invoke: (...given) => real.invoke(...given),
      probe: (...given) => real.probe(...given),
      fingerprint: (...given) => real.fingerprint(...given),
      close: () => real.close(),
    };
    return { ...own, ...change(real) };
  },
});

describe('the contract of connectors', { timeout: 60_000 }, () => {
  it('finds nothing wrong with a right one', async () => {
    expect(await failuresOf(acme)).toEqual({});
  });

  it('names an error that is none of the error table', async () => {
    const plain = changed((real) => ({
      async invoke(given, context) {
        if (given.input.text === '') throw new TypeError('bad text');
        return real.invoke(given, context);
      },
    }));
    expect(await failuresOf(plain)).toEqual({
      'errors > a call that the server refuses is BACKEND_REJECTED':
        'badCall must be rejected with a MillraceError of code BACKEND_REJECTED; it was rejected with TypeError: bad text',
    });
  });

  it('names the code that is wrong, and the endpoint that is missing', async () => {
    const vague = changed((real) => ({
      async probe(model, ...others) {
        if (model === 'no-such-model') throw new MillraceError('BACKEND_ERROR', 'HTTP 404');
        await real.probe(model, ...others);
      },
      async invoke(given, context) {
        if (given.input.text === '') throw new MillraceError('BACKEND_REJECTED', 'empty');
        return real.invoke(given, context);
      },
    }));
    expect(await failuresOf(vague)).toEqual({
      'errors > an unknown model is MODEL_NOT_FOUND':
        'a canary of the model "no-such-model" must be rejected with MODEL_NOT_FOUND, not with BACKEND_ERROR: HTTP 404',
      'errors > a call that the server refuses is BACKEND_REJECTED': `badCall: details.endpoint of the error must be "${server.url}", not undefined`,
    });
  });

  it('names the field of an answer that does not fit its kind', async () => {
    const untidy = changed(() => ({ invoke: async () => ({ output: { keywords: [{ word: 'boats' }] } }) }));
    const failed = await failuresOf(untidy);
    expect(failed['acme/keywords > answers in the form of the stage kind']).toMatch(
      /^the output does not fit the schema of its kind: keywords\.0\.score: /,
    );
  });

  it('names a call that outlives its signal', async () => {
    const deaf = changed((real) => ({
      invoke: (given, context) => real.invoke(given, { ...context, signal: new AbortController().signal }),
    }));
    const failed = await failuresOf(deaf);
    expect(failed).toMatchObject({
      'cancellation > ends a running call within a second, with the reason of its signal':
        'a call whose signal aborts must be rejected with the reason of its signal; it succeeded',
      'acme/keywords > does not begin a call that is aborted already':
        'an aborted call must be rejected with the reason of its signal; it succeeded',
    });
  });

  it('names a call that always ends late, and not one that was late once', async () => {
    const late = (times: number): Connector => {
      let left = times;
      return changed((real) => ({
        invoke: (given, context) =>
          real.invoke(given, context).catch(async (error: unknown) => {
            if (given.input.text === 'slow' && left-- > 0) await sleep(1_100);
            throw error;
          }),
      }));
    };
    expect(await failuresOf(late(1))).toEqual({});
    expect(await failuresOf(late(Number.POSITIVE_INFINITY))).toEqual({
      'cancellation > ends a running call within a second, with the reason of its signal': expect.stringMatching(
        /^a call must end within 1000 ms of its abort; it took \d{4,} ms$/,
      ),
    });
  });

  it('names fingerprints that clients do not agree on, and chunks without the capability', async () => {
    let clients = 0;
    const restless = changed((real) => {
      clients += 1;
      const own = `client ${clients}`;
      return {
        fingerprint: async () => own.replace(' ', '-'),
        async invoke(given, context) {
          context.emit('boats');
          return real.invoke(given, context);
        },
      };
    });
    const failed = await failuresOf(restless);
    expect(failed['acme/keywords > has a fingerprint on which two clients agree']).toMatch(
      /^two clients have the fingerprints "client-\d+" and "client-\d+"$/,
    );
    expect(failed['acme/keywords > answers in the form of the stage kind']).toBe(
      'a connector that emits chunks has the capability "stream"',
    );
  });

  it('names a server that is down without saying that nothing was sent', async () => {
    const unsure = changed((real) => ({
      async invoke(given, context) {
        try {
          return await real.invoke(given, context);
        } catch (error) {
          if (!(error instanceof MillraceError)) throw error;
          const { unsent: _, ...details } = error.details;
          throw new MillraceError(error.code, error.message, details);
        }
      },
    }));
    expect(await failuresOf(unsure)).toEqual({
      'errors > a call of a server that is down was never sent':
        'details.unsent of the error must be true, so that the stage waits for the server instead of using its attempts',
    });
  });

  it('names kinds that nobody has defined, and kinds that are not tried', async () => {
    const more = { ...acme, kinds: new Set([...acme.kinds, 'acme/draw']) };
    const name = 'serves stage kinds that exist, all of those tried here among them';
    expect((await failuresOf(more))[name]).toBe(
      '"acme/draw" is no stage kind of Millrace: give what defineKind returns for it in `kinds`',
    );
    const both = { ...acme, kinds: new Set([...acme.kinds, 'embed']) };
    expect((await failuresOf(both, { refused: {} }))[name]).toBe('the contract has no call of embed');
  });
});
