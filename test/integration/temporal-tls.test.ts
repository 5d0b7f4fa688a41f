import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { carryOut, examine } from '../../cli/doctor/examine.js';
import { temporalCheck } from '../../cli/doctor/temporal-check.js';
import type { RunDocument } from '../../runs/document.js';
import { Authority, type Pair } from '../support/certificates.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { address, CallLog, connect, until } from '../support/runs.js';
import { testEnvironment, testSettings } from '../support/settings.js';
import { startFronts } from '../support/tls-front.js';
import { unlessStill } from '../support/unless-still.js';
import { WorkerProcess } from '../support/worker-process.js';

/**
 * Temporal behind TLS, with real processes on this side: a proxy has the certificates and looks at keys, as a cloud’s door does. It is in
 * this process: who asks while it stands still for three seconds is told of silence, and not of the cause.
 */

const CLI = 'dist/cli/main.js';
/** A process that cannot use Temporal has ended by then, on a slow machine too: it is killed otherwise. */
const LONGEST_MS = 90_000;
const KEY = 'key-good-and-secret';
/** What a client of Temporal Cloud may not do: the operator service refuses it with PERMISSION_DENIED. */
const OPERATOR = '/temporal.api.operatorservice.v1.OperatorService/';

/** Starts a process that ends by itself: its exit code, and all that it has said. */
async function startOf(role: 'worker' | 'gateway', more: Record<string, string>) {
  const env = { ...process.env, ...testEnvironment({ MILLRACE_TASK_QUEUE: `tls-${randomUUID()}`, ...more }) };
  const ended = promisify(execFile)(process.execPath, [CLI, role], { env, timeout: LONGEST_MS });
  const { code, stdout, stderr } = await ended.then(
    (output) => ({ code: 0, ...output }),
    (error: { code: number | null; stdout: string; stderr: string }) => error,
  );
  return { code, said: `${stdout}${stderr}` };
}

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-'));
let ours: Authority;
let theirs: Authority;
let client: Pair;
let mutual: string;
let keyed: string;
let stop: () => void;

describe('Temporal behind TLS', () => {
  beforeAll(async () => {
    ours = Authority.make(folder, 'ours');
    theirs = Authority.make(folder, 'theirs');
    client = ours.sign('client');
    const server = ours.sign('server', { names: 'DNS:localhost,DNS:temporal.test' });
    const fronts = await startFronts(address('TEMPORAL_ADDRESS'), [
      { ...server, clients: ours.cert },
      { ...server, authorization: `Bearer ${KEY}`, denied: OPERATOR },
    ]);
    [mutual, keyed] = fronts.ports.map((port) => `localhost:${port}`) as [string, string];
    stop = fronts.stop;
  });
  afterAll(() => stop());

  const trusted = () => ({ TEMPORAL_TLS_SERVER_CA_CERT_PATH: ours.cert });
  const certified = () => ({
    TEMPORAL_ADDRESS: mutual,
    ...trusted(),
    TEMPORAL_TLS_CLIENT_CERT_PATH: client.cert,
    TEMPORAL_TLS_CLIENT_KEY_PATH: client.key,
  });
  const withKey = () => ({ TEMPORAL_ADDRESS: keyed, ...trusted(), TEMPORAL_API_KEY: KEY });

  /** The same as a profile of Temporal's own tools. */
  function profile(): Record<string, string> {
    const file = path.join(folder, 'temporal.toml');
    const tls = `client_cert_path = "${client.cert}"\nclient_key_path = "${client.key}"\nserver_ca_cert_path = "${ours.cert}"`;
    writeFileSync(file, `[profile.elsewhere]\naddress = "${mutual}"\n[profile.elsewhere.tls]\n${tls}\n`);
    return { TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'elsewhere' };
  }

  const doctor = async (env: Record<string, string>) => {
    const findings = await examine(testEnvironment(env));
    expect(JSON.stringify(findings)).not.toContain(KEY);
    return findings.filter(({ id }) => id.startsWith('temporal.'));
  };

  it.each([
    ['a client certificate, from a profile', profile, 'over TLS, with a client certificate'],
    ['an API key, and no operator service', withKey, 'over TLS, with an API key'],
  ])('with %s: worker and gateway carry a run through, and doctor finds nothing', async (_, env, how) => {
    const queue = `tls-${randomUUID()}`;
    const more = { ...env(), MILLRACE_TASK_QUEUE: queue };
    await unlessStill(async () => {
      const [worker, gateway] = await Promise.all([WorkerProcess.start(queue, more), GatewayProcess.start(more)]);
      try {
        const log = new CallLog();
        const started = await fetch(`${gateway.url}/v1/pipelines/three-steps/runs`, {
          method: 'POST',
          body: JSON.stringify({ log: log.file, ms: 1 }),
          headers: { 'content-type': 'application/json' },
        });
        expect(started.status).toBe(202);
        const { id } = (await started.json()) as RunDocument;
        const read = async () => (await (await fetch(`${gateway.url}/v1/runs/${id}`)).json()) as RunDocument;
        await until('the run has ended', async () => (await read()).status !== 'running');
        expect(await read()).toMatchObject({ status: 'succeeded', output: { last: 'third' } });
        expect(gateway.lines('ORCHESTRATOR_UNAVAILABLE')).toEqual([]);
        const findings = await doctor(more);
        expect(findings.filter(({ state }) => state !== 'ok')).toEqual([]);
        expect(findings[0]).toMatchObject({ id: 'temporal.reachable', detail: expect.stringContaining(how) });
        expect(findings.map(({ id }) => id)).toContain('temporal.attributes');
      } finally {
        await Promise.all([gateway.stop(), worker.kill()]);
      }
    });
  });

  it('without the operator service, in a namespace that lacks the search attributes: they are named, to add by hand', async () => {
    const namespace = `bare-${randomUUID()}`;
    const { connection } = await connect();
    const workflowExecutionRetentionPeriod = { seconds: 86_400 as unknown as Long };
    await connection.workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod });
    await connection.close();
    const more = { ...withKey(), TEMPORAL_NAMESPACE: namespace };
    const check = temporalCheck(testSettings(more));
    const find = async () => (await carryOut([check])).find(({ id }) => id === 'temporal.attributes');
    // The frontend learns of a new namespace from its cache, which is read anew every few seconds.
    await until('the namespace is known', async () => (await find())?.detail.startsWith('missing: ') === true, 60_000);
    await unlessStill(async () => {
      expect(await find()).toMatchObject({
        state: 'fail',
        detail: 'missing: MillracePipeline, MillraceVersion, MillraceTenant, MillraceCacheHit',
        remedy: expect.stringContaining('by hand: MillracePipeline (Keyword), '),
      });
      expect(await startOf('worker', more)).toMatchObject({
        code: 3,
        said: expect.stringMatching(
          /namespace "bare-.* has the search attributes MillracePipeline \(Keyword\), .* by hand/,
        ),
      });
    });
  });

  const BAD: [string, () => Record<string, string>, RegExp, RegExp][] = [
    [
      'no certificate',
      () => ({ TEMPORAL_ADDRESS: mutual, ...trusted() }),
      /^the server requires a client certificate, but none is set/,
      /TEMPORAL_TLS_CLIENT_CERT_PATH/,
    ],
    [
      'a certificate of another authority',
      () => {
        const stranger = theirs.sign('stranger');
        return {
          ...certified(),
          TEMPORAL_TLS_CLIENT_CERT_PATH: stranger.cert,
          TEMPORAL_TLS_CLIENT_KEY_PATH: stranger.key,
        };
      },
      /^the server rejects the client certificate/,
      /TEMPORAL_TLS_CLIENT_CERT_PATH/,
    ],
    [
      'a wrong authority',
      () => ({ ...certified(), TEMPORAL_TLS_SERVER_CA_CERT_PATH: theirs.cert }),
      /^the server’s certificate is not signed by the authority of TEMPORAL_TLS_SERVER_CA_CERT_PATH/,
      /TEMPORAL_TLS_SERVER_CA_CERT_PATH/,
    ],
    [
      'a wrong server name',
      () => ({ ...certified(), TEMPORAL_TLS_SERVER_NAME: 'other.test' }),
      /^the server’s certificate is for other names: DNS:localhost, DNS:temporal\.test$/,
      /TEMPORAL_TLS_SERVER_NAME/,
    ],
    ['plain text', () => ({ TEMPORAL_ADDRESS: mutual }), /^the server uses TLS, but TLS is off$/, /TEMPORAL_TLS=true/],
    [
      'TLS to the plain port',
      () => ({ TEMPORAL_ADDRESS: address('TEMPORAL_ADDRESS'), ...trusted() }),
      /^the server does not use TLS, but TLS is on$/,
      /TEMPORAL_TLS=false/,
    ],
    [
      'a bad key',
      () => ({ ...withKey(), TEMPORAL_API_KEY: 'key-bad-and-secret' }),
      /^the server rejects the API key \(HTTP 401\)$/,
      /TEMPORAL_API_KEY/,
    ],
  ];

  it.each(BAD)('with %s: doctor and a worker that starts name the cause and the variable', (_, env, cause, remedy) =>
    unlessStill(async () => {
      const more = env();
      expect(await doctor(more)).toMatchObject([
        {
          id: 'temporal.reachable',
          state: 'fail',
          detail: expect.stringMatching(cause),
          remedy: expect.stringMatching(remedy),
        },
      ]);
      const started = performance.now();
      const { code, said } = await startOf('worker', more);
      expect(code).toBe(3);
      expect(said).toMatch(/ORCHESTRATOR_UNAVAILABLE: Temporal cannot be used at /);
      expect(said).toMatch(new RegExp(`: ${cause.source.replace(/^\^|\$$/g, '')}`));
      expect(said).toMatch(remedy);
      expect(said).not.toContain('and-secret');
      expect(performance.now() - started, 'it does not try for ever').toBeLessThan(LONGEST_MS);
    }),
  );

  it('with a bad key: the gateway starts, is not ready, and says why in its log only', () =>
    unlessStill(async () => {
      const gateway = await GatewayProcess.start({ ...withKey(), TEMPORAL_API_KEY: 'key-bad-and-secret' });
      try {
        const cause = 'the server rejects the API key';
        await until('it says why', async () => gateway.lines('Temporal cannot be used').length > 0);
        expect(gateway.lines(cause)).toMatchObject([{ code: 'ORCHESTRATOR_UNAVAILABLE' }]);
        const readiness = await fetch(`${gateway.url}/readyz`);
        expect(readiness.status).toBe(503);
        expect(await readiness.text()).not.toContain('localhost');
        expect(gateway.log).not.toContain('and-secret');
      } finally {
        await gateway.stop();
      }
    }));

  it('with a file that cannot be read: no process starts, and the variable is named', async () => {
    const more = { ...certified(), TEMPORAL_TLS_CLIENT_KEY_PATH: path.join(folder, 'no.key') };
    const [finding] = (await examine(testEnvironment(more))).filter(({ state }) => state === 'fail');
    expect(finding).toMatchObject({ id: 'settings.valid', about: 'TEMPORAL_TLS_CLIENT_KEY_PATH' });
    for (const role of ['worker', 'gateway'] as const) {
      expect((await startOf(role, more)).said).toMatch(/INVALID_SETTING: TEMPORAL_TLS_CLIENT_KEY_PATH: .*ENOENT/);
    }
  });
});
