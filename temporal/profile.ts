import { readFileSync } from 'node:fs';
import path from 'node:path';
import { loadClientConfigProfile, toTomlProfile } from '@temporalio/envconfig';
import { messageOf } from '../pipelines/errors.js';
import { invalidSetting } from '../pipelines/invalid-setting.js';

/** Address and connection settings of a Temporal server, under the variable names of Temporal’s own tools. */
export interface TemporalVariables {
  readonly TEMPORAL_ADDRESS?: string | undefined;
  readonly TEMPORAL_NAMESPACE?: string | undefined;
  readonly TEMPORAL_API_KEY?: string | undefined;
  /** Undefined: not specified. */
  readonly TEMPORAL_TLS?: 'true' | 'false' | undefined;
  readonly TEMPORAL_TLS_SERVER_NAME?: string | undefined;
  readonly TEMPORAL_TLS_SERVER_CA_CERT_PATH?: string | undefined;
  readonly TEMPORAL_TLS_SERVER_CA_CERT_DATA?: string | undefined;
  readonly TEMPORAL_TLS_CLIENT_CERT_PATH?: string | undefined;
  readonly TEMPORAL_TLS_CLIENT_CERT_DATA?: string | undefined;
  readonly TEMPORAL_TLS_CLIENT_KEY_PATH?: string | undefined;
  readonly TEMPORAL_TLS_CLIENT_KEY_DATA?: string | undefined;
}

type Given = Readonly<Record<string, string | undefined>>;

/** Variables that the SDK reads for a profile: its own, and those that determine the user’s configuration folder. */
const READ = [
  ...['TEMPORAL_ADDRESS', 'TEMPORAL_NAMESPACE', 'TEMPORAL_API_KEY', 'TEMPORAL_TLS', 'TEMPORAL_TLS_SERVER_NAME'],
  ...['TEMPORAL_TLS_SERVER_CA_CERT_PATH', 'TEMPORAL_TLS_SERVER_CA_CERT_DATA'],
  ...['TEMPORAL_TLS_CLIENT_CERT_PATH', 'TEMPORAL_TLS_CLIENT_CERT_DATA'],
  ...['TEMPORAL_TLS_CLIENT_KEY_PATH', 'TEMPORAL_TLS_CLIENT_KEY_DATA'],
  ...['HOME', 'XDG_CONFIG_HOME', 'APPDATA'],
];

/** Temporal’s default profile name. */
const DEFAULT_PROFILE = 'default';

/**
 * The variables, completed from the profile that they name; a variable takes precedence over the profile. Without
 * `TEMPORAL_PROFILE` and `TEMPORAL_CONFIG_FILE` no file is read, so that a profile for Temporal’s own tools does not
 * point an embedded stack to another server. Paths are returned absolute, and `TEMPORAL_TLS` tells whether TLS is on.
 * Throws `INVALID_SETTING`.
 */
export function withProfile(given: Given): TemporalVariables {
  const { address, namespace, api_key, tls, grpc_meta } = toTomlProfile(profileOf(given));
  if (Object.keys(grpc_meta ?? {}).length > 0) {
    throw invalidSetting(
      sourceOf(given),
      'the profile has grpc_meta, which is not sent: remove it, or use another profile',
    );
  }
  if (requiresProfile(given) && address === undefined) {
    throw invalidSetting(sourceOf(given), 'the profile has no address: add it, or set TEMPORAL_ADDRESS');
  }
  const apiKey = text(given, 'api_key', api_key)?.trim();
  if (apiKey !== undefined && !/^[\x21-\x7e]+$/.test(apiKey)) {
    throw invalidSetting('TEMPORAL_API_KEY', 'the key is empty or has characters that a header cannot carry');
  }
  const file = (name: string, value: unknown) => {
    const named = text(given, name, value);
    return named === undefined ? undefined : path.resolve(named);
  };
  return {
    TEMPORAL_ADDRESS: text(given, 'address', address),
    TEMPORAL_NAMESPACE: text(given, 'namespace', namespace),
    TEMPORAL_API_KEY: apiKey,
    TEMPORAL_TLS: tls ? (tls.disabled ? 'false' : 'true') : apiKey === undefined ? undefined : 'true',
    TEMPORAL_TLS_SERVER_NAME: text(given, 'tls.server_name', tls?.server_name),
    TEMPORAL_TLS_SERVER_CA_CERT_PATH: file('tls.server_ca_cert_path', tls?.server_ca_cert_path),
    TEMPORAL_TLS_SERVER_CA_CERT_DATA: text(given, 'tls.server_ca_cert_data', tls?.server_ca_cert_data),
    TEMPORAL_TLS_CLIENT_CERT_PATH: file('tls.client_cert_path', tls?.client_cert_path),
    TEMPORAL_TLS_CLIENT_CERT_DATA: text(given, 'tls.client_cert_data', tls?.client_cert_data),
    TEMPORAL_TLS_CLIENT_KEY_PATH: file('tls.client_key_path', tls?.client_key_path),
    TEMPORAL_TLS_CLIENT_KEY_DATA: text(given, 'tls.client_key_data', tls?.client_key_data),
  };
}

function profileOf(given: Given) {
  const overrideEnvVars = Object.fromEntries(
    READ.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]]])),
  );
  const { TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: profile = DEFAULT_PROFILE } = given;
  try {
    if (!requiresProfile(given)) return loadClientConfigProfile({ disableFile: true, overrideEnvVars });
    const source = file === undefined ? {} : { configSource: { data: readFileSync(file) } };
    return loadClientConfigProfile({ ...source, profile, overrideEnvVars });
  } catch (error) {
    // After the first line the TOML parser quotes lines around the mistake, which may contain a key.
    const reason = error instanceof TypeError ? 'it has no profiles' : (messageOf(error).split('\n', 1)[0] ?? '');
    const twice = /both (\w+)_path and/.exec(reason)?.[1]?.toUpperCase();
    if (twice !== undefined) {
      throw invalidSetting(`TEMPORAL_TLS_${twice}_PATH`, `TEMPORAL_TLS_${twice}_DATA is set too: remove one of them`);
    }
    throw invalidSetting(
      sourceOf(given),
      `no profile "${profile}" can be read from ${file ?? 'temporal.toml'}: ${reason}`,
    );
  }
}

const requiresProfile = (given: Given): boolean =>
  given.TEMPORAL_CONFIG_FILE !== undefined || given.TEMPORAL_PROFILE !== undefined;

const sourceOf = ({ TEMPORAL_CONFIG_FILE }: Given): string =>
  TEMPORAL_CONFIG_FILE === undefined ? 'TEMPORAL_PROFILE' : 'TEMPORAL_CONFIG_FILE';

/** The types of a profile's values are not validated by the SDK. */
function text(given: Given, name: string, value: unknown): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  throw invalidSetting(sourceOf(given), `${name} of the profile must be a string`);
}
