import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { carryOut } from '../../../../cli/doctor/examine.js';
import { type Check, FINDINGS, type Finding, fail, pass, warn } from '../../../../cli/doctor/finding.js';
import { exitCodeOf } from '../../../../cli/doctor/index.js';
import { redactor } from '../../../../cli/doctor/redact.js';
import { redisChecks } from '../../../../cli/doctor/redis-check.js';
import { temporalCheck } from '../../../../cli/doctor/temporal-check.js';
import { addressOf } from '../../../../deploy/local/stack/addresses.js';
import { readSettings } from '../../../../workers/settings.js';
import { freePort } from '../../../support/free-port.js';

const check = (run: Check['run']): Check => ({ id: 'redis.reachable', about: 'it', remedy: 'mend it', run });

describe('checks', () => {
  it('are carried out at the same time, and told in order', async () => {
    let begun = 0;
    let allHaveBegun = () => {};
    const all = new Promise<void>((resolve) => {
      allHaveBegun = resolve;
    });
    // One behind the other they would never end.
    const together = (detail: string) =>
      check(async () => {
        begun += 1;
        if (begun === 3) allHaveBegun();
        await all;
        return [pass('redis.reachable', 'it', detail)];
      });
    const findings = await carryOut(['a', 'b', 'c'].map(together));
    expect(findings.map(({ detail }) => detail)).toEqual(['a', 'b', 'c']);
  });

  it('that throw, or never end, are failed findings', async () => {
    const started = performance.now();
    const findings = await carryOut(
      [
        check(async () => {
          throw new Error('no');
        }),
        check(() => new Promise(() => undefined)),
      ],
      200,
    );
    expect(performance.now() - started).toBeLessThan(10_000);
    expect(findings).toEqual([
      { id: 'redis.reachable', about: 'it', state: 'fail', detail: 'no', remedy: 'mend it' },
      expect.objectContaining({ state: 'fail', detail: 'no answer within 200 ms' }),
    ]);
  });
});

describe('exit codes', () => {
  it('are 0 without a failure, 3 when a server is away, else 1', () => {
    const away = fail('pool.reachable', 'x', '', '');
    const wrong = fail('temporal.namespace', 'x', '', '');
    const failed = (...findings: Finding[]) => exitCodeOf(findings.filter(({ state }) => state === 'fail'));
    expect(failed(pass('clock.skew', 'x', ''), warn('media.ffmpeg', 'x', '', ''))).toBe(0);
    expect(failed(wrong)).toBe(1);
    expect(failed(wrong, away)).toBe(3);
  });

  it('have ids of one form', () => {
    for (const id of Object.keys(FINDINGS)) expect(id).toMatch(/^[a-z]+\.[a-z]+$/);
  });
});

describe('a server that is not there', () => {
  it('refuses: its address and what to do', async () => {
    const port = await freePort();
    const settings = readSettings({
      TEMPORAL_ADDRESS: `127.0.0.1:${port}`,
      REDIS_URL: `redis://:hidden-word@127.0.0.1:${port}`,
    });
    const findings = await carryOut([temporalCheck(settings), ...redisChecks(settings).slice(0, 1)]);
    expect(findings).toEqual([
      expect.objectContaining({ id: 'temporal.reachable', state: 'fail', about: `127.0.0.1:${port}` }),
      expect.objectContaining({ id: 'redis.reachable', state: 'fail', about: `redis://127.0.0.1:${port}` }),
    ]);
    for (const { detail } of findings) expect(detail).toContain('ECONNREFUSED');
    expect(findings.map(({ remedy }) => remedy)).toEqual([
      'start it, or correct TEMPORAL_ADDRESS',
      'start it, or correct REDIS_URL',
    ]);
  });

  it('gets a key of Temporal in plain text: a warning, but on this machine', async () => {
    const findings = async (host: string) =>
      carryOut([
        temporalCheck(
          readSettings({ TEMPORAL_ADDRESS: `${host}:1`, TEMPORAL_API_KEY: 'eyJ.temporal.key', TEMPORAL_TLS: 'false' }),
        ),
      ]);
    expect(await findings('no-such-name.invalid')).toMatchObject([
      { id: 'temporal.key', state: 'warn', remedy: expect.stringContaining('TEMPORAL_TLS=true') },
      { id: 'temporal.reachable', state: 'fail', detail: expect.stringContaining('does not resolve') },
    ]);
    expect((await findings('127.0.0.1')).map(({ id }) => id)).toEqual(['temporal.reachable']);
  });

  it('of the embedded stack: the command that starts it', async () => {
    const base = String(await freePort());
    const settings = readSettings({ MILLRACE_TEMPORAL_PORT: base, MILLRACE_REDIS_PORT: base });
    const findings = await carryOut([temporalCheck(settings), ...redisChecks(settings).slice(0, 1)]);
    for (const { remedy } of findings) expect(remedy).toContain('millrace up');
  });

  it('accepts and says nothing: ended in time', async () => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => {
      sockets.add(socket.resume().on('error', () => undefined));
      socket.on('close', () => sockets.delete(socket));
    }).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as { port: number };
    const settings = readSettings({ TEMPORAL_ADDRESS: `127.0.0.1:${port}`, REDIS_URL: `redis://127.0.0.1:${port}` });
    const started = performance.now();
    expect(await carryOut(redisChecks(settings).slice(0, 1), 400)).toMatchObject([
      { id: 'redis.reachable', state: 'fail' },
    ]);
    await expect.poll(() => sockets.size, { message: 'it closes its connection' }).toBe(0);
    expect(await carryOut([temporalCheck(settings)], 400)).toMatchObject([{ id: 'temporal.reachable', state: 'fail' }]);
    expect(performance.now() - started).toBeLessThan(10_000);
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
});

describe('secrets', () => {
  it('are taken out of every text', () => {
    const redact = redactor(
      readSettings({
        LLM_API_KEY: 'sk-abcdef123',
        TEMPORAL_ADDRESS: 'temporal:7233',
        TEMPORAL_API_KEY: 'eyJ.temporal.key',
        REDIS_URL: 'rediss://user:p%40ssword@cache:6379',
        LLM_BASE_URL: 'https://me:letmein99@llm/v1',
      }),
    );
    expect(redact('bad key sk-abcdef123 at https://me:letmein99@llm/v1')).toBe('bad key *** at https://***@llm/v1');
    expect(redact('who sent eyJ.temporal.key?')).toBe('who sent ***?');
    expect(redact('WRONGPASS p@ssword p%40ssword letmein99')).toBe('WRONGPASS *** *** ***');
  });

  it('are taken out with an @ in them too, of addresses as of texts', () => {
    const settings = readSettings({
      REDIS_URL: 'redis://user:pa@ss:word1@redis:6379/2',
      LLM_BASE_URL: 'https://me:let@me@in99@llm:8080/v1',
    });
    const redact = redactor(settings);
    expect(redact('WRONGPASS pa@ss:word1')).toBe('WRONGPASS ***');
    expect(redact('no answer from https://me:let@me@in99@llm:8080/v1, or redis://other:pa@ss@redis')).toBe(
      'no answer from https://***@llm:8080/v1, or redis://***@redis',
    );
    expect(addressOf('redis', settings)).toBe('redis://redis:6379/2');
    expect(addressOf('llm', settings)).toBe('https://llm:8080/v1');
  });

  it('that are placeholders stay', () => {
    expect(redactor(readSettings({}))('none of it')).toBe('none of it');
  });
});
