import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { parseWebhooks } from '../../../../activities/webhooks/config.js';
import { WebhookConfig } from '../../../../activities/webhooks/index.js';
import { webhookTargets } from '../../../../runs/webhooks/targets.js';

const secret = () => `whsec_${randomBytes(32).toString('base64')}`;
const [first, second] = [secret(), secret()];
const url = 'https://example.com/hooks';

describe('the file of webhooks', () => {
  const refused: [what: string, file: unknown, message: RegExp][] = [
    ['a tenant that can be none', { 'A B': {} }, /A B: /],
    ['an unknown field', { acme: { secret: first } }, /acme: .*secret/],
    ['a secret that is none', { acme: { secrets: ['whsec_c2hvcnQ='] } }, /acme\.secrets\.0: must be whsec_/],
    ['no secret', { acme: { secrets: [] } }, /acme\.secrets/],
    ['an endpoint that nothing signs for', { acme: { endpoints: { billing: { url } } } }, /billing/],
    [
      'a private URL',
      { acme: { secrets: [first], endpoints: { billing: { url: 'https://10.0.0.1/' } } } },
      /acme\.endpoints\.billing\.url: must be a host of the public/,
    ],
    [
      'an event that there is not',
      { acme: { secrets: [first], endpoints: { billing: { url, events: ['run.started'] } } } },
      /acme\.endpoints\.billing\.events\.0: .*run\.succeeded/,
    ],
    ['a list', [], /the file/],
  ];
  it.each(refused)('refuses %s, naming the place', (_, file, message) => {
    const parse = () => parseWebhooks(JSON.stringify(file), false);
    expect(parse).toThrow(message);
    expect(parse).toThrow(expect.objectContaining({ code: 'INVALID_SETTING' }));
  });

  it('never repeats what stands in a file that is no JSON', () => {
    expect(() => parseWebhooks(`{"acme": {"secrets": ["${first}"`, false)).toThrow(
      /^MILLRACE_WEBHOOKS: is not valid JSON$/,
    );
  });
});

describe('the webhooks of a tenant', () => {
  const logger = pino({ level: 'silent' });
  let folder: string | undefined;
  afterEach(async () => {
    vi.useRealTimers();
    if (folder !== undefined) await rm(folder, { recursive: true });
    folder = undefined;
  });

  async function open(content: object) {
    folder = await mkdtemp(path.join(tmpdir(), 'millrace-webhooks-'));
    const file = path.join(folder, 'webhooks.json');
    await writeFile(file, JSON.stringify(content));
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const config = new WebhookConfig(file, { allowPrivate: false, logger });
    let seconds = 0;
    return {
      config,
      async change(text: string) {
        await writeFile(file, text);
        seconds += 10;
        await utimes(file, new Date(), new Date(Date.now() + seconds * 1_000));
        vi.advanceTimersByTime(1_000);
      },
    };
  }

  it('are read again when the file has changed, and stay when it has mistakes', async () => {
    const { config, change } = await open({ acme: { secrets: [first] } });
    expect(config.of('acme').secrets).toEqual([first]);
    expect(config.of('constructor')).toEqual({});
    await change(JSON.stringify({ acme: { secrets: [second, first] } }));
    expect(config.of('acme').secrets).toEqual([second, first]);
    await change('{');
    expect(config.of('acme').secrets).toEqual([second, first]);
  });

  it('must be readable at the start', async () => {
    const open = () => new WebhookConfig('/no/such/file.json', { allowPrivate: false, logger });
    expect(open).toThrow(expect.objectContaining({ code: 'INVALID_SETTING' }));
  });

  it('are its endpoints for the pipeline, and the URL of the request', async () => {
    const endpoints = { billing: { url }, audit: { url, pipelines: ['other'], events: ['run.failed'] } };
    const { config } = await open({ acme: { secrets: [first], endpoints } });
    const targetsOf = (pipeline: string, webhook?: string) =>
      webhookTargets(config, { tenant: 'acme', pipeline, webhook });
    expect(targetsOf('listen')).toEqual([{ endpoint: 'billing' }]);
    expect(targetsOf('other', url)).toEqual([
      { endpoint: 'billing' },
      { endpoint: 'audit', events: ['run.failed'] },
      { url },
    ]);
    const refusal = (code: string) =>
      expect.objectContaining({
        code,
        details: expect.objectContaining({ fields: [expect.objectContaining({ field: 'webhook' })] }),
      });
    expect(() => targetsOf('listen', 'http://example.com/')).toThrow(refusal('WEBHOOK_REFUSED'));
    const without = () => webhookTargets(config, { tenant: 'other', pipeline: 'listen', webhook: url });
    expect(without).toThrow(refusal('INVALID_INPUT'));
    expect(webhookTargets(config, { tenant: 'other', pipeline: 'listen' })).toEqual([]);
  });
});
