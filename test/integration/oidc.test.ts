import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunDocument } from '../../runs/document.js';
import { decideOver } from '../support/deciding.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { AUDIENCE, OidcIssuer, signingKey } from '../support/oidc-issuer.js';
import { CallLog, until } from '../support/runs.js';

/** A gateway that accepts the tokens of a provider, as users run it. */
let issuer: OidcIssuer;
let gateway: GatewayProcess;
const tokens: string[] = [];
const environment = () => ({
  MILLRACE_OIDC_ISSUER: issuer.url,
  MILLRACE_OIDC_AUDIENCE: AUDIENCE,
  MILLRACE_OIDC_PIPELINES_CLAIM: 'pipelines',
});

beforeAll(async () => {
  issuer = await OidcIssuer.start();
  gateway = await GatewayProcess.start(environment());
});
afterAll(async () => {
  await gateway?.stop();
  await issuer.close();
});

async function headersOf(claims: Record<string, unknown> = {}): Promise<Record<string, string>> {
  const token = await issuer.token({ pipelines: ['gated'], ...claims });
  tokens.push(token);
  return { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
}

const readyOf = async ({ url }: GatewayProcess) =>
  (await (await fetch(`${url}/readyz`)).json()) as { status: string; degraded: { part: string; message: string }[] };

describe('a run of tokens', () => {
  it('is started by one person, seen in its tenant only, and decided by another, who is recorded', async () => {
    const body = JSON.stringify({ log: new CallLog().file });
    const started = await fetch(`${gateway.url}/v1/pipelines/gated/runs`, {
      method: 'POST',
      headers: await headersOf({ sub: 'ada' }),
      body,
    });
    expect(started.status).toBe(202);
    const { id } = (await started.json()) as RunDocument;
    const run = `${gateway.url}/v1/runs/${id}`;
    expect((await fetch(run, { headers: await headersOf({ tenant: 'other' }) })).status).toBe(404);
    expect((await fetch(run, { headers: await headersOf({ pipelines: ['ask'] }) })).status).toBe(404);
    expect((await decideOver(run, 'approve', { headers: await headersOf({ sub: 'ada' }) })).status).toBe(403);
    const approver = { sub: 'grace', scope: 'millrace:read millrace:approve' };
    expect((await decideOver(run, 'approve', { by: 'the boss', headers: await headersOf(approver) })).status).toBe(202);
    let ended: RunDocument | undefined;
    await until('the run has ended', async () => {
      ended = (await (await fetch(run, { headers: await headersOf() })).json()) as RunDocument;
      return ended.status !== 'running';
    });
    expect(ended).toMatchObject({ status: 'succeeded', output: { approved: true, by: 'the boss' } });
    expect(ended?.stages?.find(({ stage }) => stage === 'sign-off')).toMatchObject({
      decisions: [{ by: 'the boss', actor: 'user:grace' }],
    });
  });

  it('is started by OpenAI’s client, whose key is a token', async () => {
    const { authorization = '' } = await headersOf({ pipelines: ['chat'] });
    const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: authorization.slice('Bearer '.length) });
    const models = await client.models.list();
    expect(models.data.map(({ id }) => id)).not.toContain('gated');
    const other = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: await issuer.token({ aud: 'other' }) });
    await expect(other.models.list()).rejects.toMatchObject({ status: 401, code: 'invalid_api_key' });
  });
});

describe('a provider', () => {
  it('that goes away is missed by nobody whose key is known, but by a gateway that starts then', async () => {
    expect((await readyOf(gateway)).degraded.map(({ part }) => part)).not.toContain('issuer');
    issuer.away = true;
    const late = await GatewayProcess.start(environment());
    try {
      expect((await fetch(`${gateway.url}/v1/pipelines`, { headers: await headersOf() })).status).toBe(200);
      const refused = await fetch(`${late.url}/v1/pipelines`, { headers: await headersOf() });
      expect([refused.status, await refused.json()]).toMatchObject([503, { code: 'ISSUER_UNAVAILABLE' }]);
      expect((await readyOf(late)).degraded.map(({ part }) => part)).toContain('issuer');
      // Its keys have changed meanwhile.
      issuer.keys = [await signingKey('second')];
      issuer.away = false;
      await until('the provider is read again', async () => {
        const { status } = await fetch(`${late.url}/v1/pipelines`, { headers: await headersOf() });
        return status === 200;
      });
      expect((await readyOf(late)).degraded.map(({ part }) => part)).not.toContain('issuer');
    } finally {
      issuer.away = false;
      await late.stop();
    }
  });
});

it('a gateway that others can reach starts with an issuer, and not without an audience', async () => {
  const open = { ...environment(), MILLRACE_GATEWAY_HOST: '0.0.0.0' };
  const bound = await GatewayProcess.start(open);
  expect((await fetch(`${bound.url}/v1/pipelines`)).status).toBe(401);
  await bound.stop();
  await expect(GatewayProcess.start({ ...open, MILLRACE_OIDC_AUDIENCE: '' })).rejects.toThrow(
    /INVALID_SETTING: MILLRACE_OIDC_AUDIENCE/,
  );
});

it('no token is in the log', () => {
  expect(tokens.length).toBeGreaterThan(5);
  for (const token of tokens) expect(gateway.log).not.toContain(token.slice(-40));
});
