import { describe, expect, it, test } from 'vitest';
import { checkSettings } from '../../../cli/doctor/settings-checks.js';
import { NO_CONFIG } from '../../../workers/config/loaded.js';
import { readSettings } from '../../../workers/settings.js';

/** What Kubernetes adds to each container of a namespace with a service of this name. */
const serviceLinks = (service: string) => ({
  [`${service}_SERVICE_HOST`]: '10.0.0.11',
  [`${service}_SERVICE_PORT`]: '7400',
  [`${service}_SERVICE_PORT_HTTP`]: '7400',
  [`${service}_PORT`]: 'tcp://10.0.0.11:7400',
  [`${service}_PORT_7400_TCP`]: 'tcp://10.0.0.11:7400',
  [`${service}_PORT_7400_TCP_PROTO`]: 'tcp',
  [`${service}_PORT_7400_TCP_PORT`]: '7400',
  [`${service}_PORT_7400_TCP_ADDR`]: '10.0.0.11',
});

describe('services of Kubernetes with the names of settings', () => {
  const links = { ...serviceLinks('MILLRACE_GATEWAY'), ...serviceLinks('MILLRACE_REDIS'), ...serviceLinks('MILLRACE') };

  it('are no settings', () => {
    expect(readSettings(links)).toEqual(readSettings({}));
  });

  it('take no setting away', () => {
    const own = { MILLRACE_PORT_BASE: '7700', MILLRACE_GATEWAY_HOST: '::1', MILLRACE_TEMPORAL_PORT: '7233' };
    expect(readSettings({ ...links, ...own })).toEqual(readSettings(own));
  });

  it('are known by their host where somebody has set the port', async () => {
    const own = { MILLRACE_GATEWAY_PORT: '7400', MILLRACE_CONFIG: 'none' };
    expect(readSettings({ ...serviceLinks('MILLRACE_GATEWAY'), ...own })).toEqual(readSettings(own));
    const { findings } = await checkSettings({ ...serviceLinks('MILLRACE_GATEWAY'), ...own });
    expect(findings.map(({ id }) => id)).toEqual(['settings.valid']);
  });

  it('are nothing to warn of', async () => {
    const { findings } = await checkSettings({ ...links, MILLRACE_CONFIG: 'none', MILLRACE_GATEWAY_POTR: '1' });
    expect(findings.map(({ id, about }) => [id, about])).toEqual([
      ['settings.valid', 'environment'],
      ['settings.known', 'MILLRACE_GATEWAY_POTR'],
    ]);
    expect(findings[0]?.detail).toContain('given: MILLRACE_CONFIG');
    expect(findings[0]?.detail).not.toContain('MILLRACE_GATEWAY_PORT');
  });
});

describe('a blank value', () => {
  const BLANKS = ['', ' ', '\t\n'];

  it('counts as unset, and not as 0, which would take a limit away', () => {
    for (const blank of BLANKS) {
      const read = readSettings({ MILLRACE_TENANT_RUNS: blank, MILLRACE_KSERVE_GRPC_PORT: blank, TRITON_URL: blank });
      expect(read).toEqual(readSettings({}));
      expect([read.MILLRACE_TENANT_RUNS, read.MILLRACE_KSERVE_GRPC_PORT]).toEqual([1_000, 7_409]);
    }
  });

  it('leaves that of the configuration, which is blank or not as well', () => {
    const runs = (inFile: string) =>
      readSettings({ MILLRACE_TENANT_RUNS: ' ' }, { ...NO_CONFIG, settings: { MILLRACE_TENANT_RUNS: inFile } })
        .MILLRACE_TENANT_RUNS;
    expect([runs('5'), runs(' ')]).toEqual([5, 1_000]);
  });
});

describe('a value that would do the opposite of what is meant', () => {
  const refused = (name: string, message: string) =>
    expect.objectContaining({ code: 'INVALID_SETTING', details: { fields: [{ field: name, message }] } });

  // A timer of more than 24.8 days fires at once.
  test.each([
    'MILLRACE_SHUTDOWN_GRACE_MS',
    'MILLRACE_CANARY_INTERVAL_MS',
    'MILLRACE_REDIS_TIMEOUT_MS',
    'MILLRACE_INDEX_TIMEOUT_MS',
    'MILLRACE_MAX_WAIT_MS',
    'MILLRACE_UPLOAD_TIMEOUT_MS',
    'MILLRACE_HEADERS_TIMEOUT_MS',
  ] as const)('%s is at most what a timer holds, with what is added to it', (name) => {
    expect(readSettings({ [name]: '1209600000' })[name]).toBe(14 * 24 * 3_600_000);
    const message = 'must be at most 1209600000, which is two weeks';
    for (const long of ['1209600001', '2592000000', '31536000000'])
      expect(() => readSettings({ [name]: long })).toThrow(refused(name, message));
  });

  it('is none of a time that no process waits for', () => {
    expect(readSettings({ MILLRACE_RECORD_KEPT_MS: '31536000000' }).MILLRACE_RECORD_KEPT_MS).toBe(31_536_000_000);
  });

  it('is a first port after which there is no room for the others', () => {
    const { MILLRACE_REDIS_CACHE_PORT: last } = readSettings({ MILLRACE_PORT_BASE: '65524' });
    expect(last).toBe(65_535);
    const message = 'must be at most 65524, since the 11 ports after it are used too';
    for (const base of ['65525', '65530', '65535'])
      expect(() => readSettings({ MILLRACE_PORT_BASE: base })).toThrow(refused('MILLRACE_PORT_BASE', message));
  });
});

describe('the connections of one address', () => {
  const most = (env: Readonly<Record<string, string>>) => readSettings(env).MILLRACE_MAX_CONNECTIONS_PER_ADDRESS;
  const proxied = { MILLRACE_PROXY_AUTHENTICATES: 'yes' };

  it('are as many as in total where all come from a proxy', () => {
    expect(most({})).toBe(1_024);
    expect(most({ MILLRACE_PUBLIC_URL: 'http://gateway.internal:7400' })).toBe(1_024);
    expect(most({ MILLRACE_PUBLIC_URL: 'https://gateway.example' })).toBe(4_096);
    expect(most(proxied)).toBe(4_096);
    expect(most({ ...proxied, MILLRACE_MAX_CONNECTIONS: '9000' })).toBe(9_000);
    expect(most({ ...proxied, MILLRACE_MAX_CONNECTIONS_PER_ADDRESS: '500' })).toBe(500);
  });
});

describe('the address of a Redis', () => {
  test.each([
    'redis://redis:6379',
    'rediss://millrace:p%40ss%2Fword@redis.internal:6380/2',
    'redis://:word@[fd00::1]:6379?family=6',
    'redis://user:pa@ss:word@redis',
    'redis.internal:6379',
    'redis',
    '[::1]:6379',
    'redis:6379/2',
    '/run/redis/redis.sock',
  ])('%s is one', (url) => {
    expect(readSettings({ REDIS_URL: url, REDIS_INDEX_URL: url, REDIS_CACHE_URL: url }).REDIS_URL).toBe(url);
  });

  test.each([
    ['a password with a slash', 'redis://:hidden/word@redis:6379'],
    ['a password with a slash after digits', 'redis://user:12/hidden@redis:6379'],
    ['a password with #', 'redis://:hidden#word@redis:6379'],
    ['a user with #', 'redis://us#er:hidden@redis:6379'],
    ['a password with ?', 'redis://user:12?hidden@redis:6379'],
    ['a password with %', 'redis://:hidden%zz@redis:6379'],
    ['another scheme', 'redis-sentinel://:hidden@sentinel:26379/mymaster'],
    ['a web address', 'http://:hidden@redis:6379'],
    ['no host', '//:hidden@redis:6379'],
    ['no number of a database', 'redis://:hidden@redis:6379/hidden'],
  ])('%s makes it none: the setting is named, the value is not quoted', (_, url) => {
    for (const name of ['REDIS_URL', 'REDIS_INDEX_URL', 'REDIS_CACHE_URL']) {
      const read = () => readSettings({ [name]: url });
      expect(read).toThrow(
        expect.objectContaining({
          code: 'INVALID_SETTING',
          details: { fields: [expect.objectContaining({ field: name })] },
        }),
      );
      expect(read).not.toThrow(/hidden/);
    }
  });
});

describe('the address of a web server', () => {
  const NAMES = ['MILLRACE_GATEWAY_URL', 'MILLRACE_PUBLIC_URL', 'TEMPORAL_UI_URL', 'MILLRACE_KUBERNETES_API'] as const;

  test.each(NAMES)('%s has a scheme that says how it is called', (name) => {
    for (const url of ['http://gateway.internal:7400', 'https://gateway.example/millrace'])
      expect(readSettings({ [name]: url })[name]).toBe(url);
    for (const url of ['gateway.internal:7400', 'localhost:7400', 'ftp://gateway.internal', 'gateway.internal'])
      expect(() => readSettings({ [name]: url }), url).toThrow(
        expect.objectContaining({
          code: 'INVALID_SETTING',
          details: {
            fields: [{ field: name, message: 'must be a URL that begins with http:// or https://' }],
          },
        }),
      );
  });
});
