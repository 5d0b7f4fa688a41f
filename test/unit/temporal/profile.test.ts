import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { withProfile } from '../../../temporal/profile.js';
import { temporalServer } from '../../../workers/endpoints.js';
import { readSettings } from '../../../workers/settings.js';

const TOML = `
[profile.default]
address = "here:7233"
[profile.cloud]
address = "there:7233"
namespace = "space"
api_key = "key-of-file"
[profile.cloud.tls]
client_cert_path = "certs/client.pem"
client_key_path = "certs/client.key"
server_name = "name"
[profile.odd]
address = 5
[profile.nowhere]
namespace = "space"
[profile.headers]
address = "there:7233"
grpc_meta = { other = "x" }
`;

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-'));
const file = path.join(folder, 'temporalio', 'temporal.toml');
const given = (values: object) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));

beforeAll(() => {
  mkdirSync(path.dirname(file));
  writeFileSync(file, TOML);
});

describe('a profile', () => {
  it('says what no variable says', () => {
    expect(
      given(withProfile({ TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'cloud', TEMPORAL_NAMESPACE: 'own' })),
    ).toEqual({
      TEMPORAL_ADDRESS: 'there:7233',
      TEMPORAL_NAMESPACE: 'own',
      TEMPORAL_API_KEY: 'key-of-file',
      TEMPORAL_TLS: 'true',
      TEMPORAL_TLS_SERVER_NAME: 'name',
      TEMPORAL_TLS_CLIENT_CERT_PATH: path.resolve('certs/client.pem'),
      TEMPORAL_TLS_CLIENT_KEY_PATH: path.resolve('certs/client.key'),
    });
  });

  it('is “default” in a file that is named, and is looked for in the user’s folder only when it is named', () => {
    expect(withProfile({ TEMPORAL_CONFIG_FILE: file }).TEMPORAL_ADDRESS).toBe('here:7233');
    const user = { XDG_CONFIG_HOME: folder, HOME: folder };
    expect(withProfile({ ...user, TEMPORAL_PROFILE: 'cloud' }).TEMPORAL_ADDRESS).toBe('there:7233');
    expect(given(withProfile(user))).toEqual({});
  });

  it.each([
    [
      'a file that is not there',
      { TEMPORAL_CONFIG_FILE: path.join(folder, 'no.toml') },
      /^TEMPORAL_CONFIG_FILE: .*ENOENT/,
    ],
    ['a name that is not there', { TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'x' }, /profile "x".*not found/],
    ['a name without a file', { TEMPORAL_PROFILE: 'x', XDG_CONFIG_HOME: '/nowhere' }, /^TEMPORAL_PROFILE: .*"x"/],
    ['a number', { TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'odd' }, /address of the profile must be a string/],
    ['no address', { TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'nowhere' }, /no address.*TEMPORAL_ADDRESS/],
    ['what is not sent', { TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'headers' }, /grpc_meta/],
    [
      'both forms',
      { TEMPORAL_TLS_CLIENT_KEY_PATH: 'a', TEMPORAL_TLS_CLIENT_KEY_DATA: 'b' },
      /^TEMPORAL_TLS_CLIENT_KEY_PATH: .*_DATA/,
    ],
    ['a key that no header carries', { TEMPORAL_API_KEY: 'two\nlines' }, /^TEMPORAL_API_KEY: /],
  ])('is refused: %s', (_, env, message) => {
    expect(() => withProfile(env)).toThrow(
      expect.objectContaining({ code: 'INVALID_SETTING', message: expect.stringMatching(message) }),
    );
  });

  it('with a mistake shows none of its lines', () => {
    const broken = path.join(folder, 'broken.toml');
    writeFileSync(broken, '[profile.default]\naddress = "a:1"\napi_key = "secret-word\n');
    const thrown = (() => {
      try {
        withProfile({ TEMPORAL_CONFIG_FILE: broken });
      } catch (error) {
        return String(error);
      }
    })();
    expect(thrown).toContain('Invalid TOML');
    expect(thrown).not.toContain('secret-word');
  });
});

describe('TLS', () => {
  it.each([
    [{}, undefined],
    [{ TEMPORAL_API_KEY: 'k' }, 'true'],
    [{ TEMPORAL_TLS_SERVER_NAME: 'n' }, 'true'],
    [{ TEMPORAL_API_KEY: 'k', TEMPORAL_TLS: 'false' }, 'false'],
    [{ TEMPORAL_TLS: '1' }, 'true'],
  ])('of %o is %s', (env, tls) => {
    expect(withProfile(env).TEMPORAL_TLS).toBe(tls);
  });

  it('cannot be had without verification', () => {
    expect(() => readSettings({ TEMPORAL_TLS_DISABLE_HOST_VERIFICATION: 'true' })).toThrow(/TEMPORAL_TLS_SERVER_NAME/);
    expect(() => readSettings({ TEMPORAL_TLS_DISABLE_HOST_VERIFICATION: 'false' })).not.toThrow();
  });

  it('and a key are for a server that is named: the embedded one has neither', () => {
    expect(() => temporalServer(readSettings({ TEMPORAL_API_KEY: 'k' }))).toThrow(/^TEMPORAL_ADDRESS: /);
    expect(temporalServer(readSettings({})).TEMPORAL_ADDRESS).toBe('127.0.0.1:7402');
  });
});

describe('settings', () => {
  it('say what the profile says, so that processes they are handed to do not read it again', () => {
    const settings = readSettings({ TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'cloud' });
    expect(settings).toMatchObject({
      TEMPORAL_ADDRESS: 'there:7233',
      TEMPORAL_NAMESPACE: 'space',
      TEMPORAL_TLS: 'true',
    });
    expect([settings.TEMPORAL_PROFILE, settings.TEMPORAL_CONFIG_FILE]).toEqual([undefined, undefined]);
    expect(readSettings({ TEMPORAL_ADDRESS: 'a:1' }).TEMPORAL_NAMESPACE).toBe('default');
  });
});
