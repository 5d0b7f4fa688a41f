import { z } from 'zod';

/** Settings of the connection to Temporal, under the names that Temporal's own tools use. */
export const TEMPORAL_SETTINGS = {
  TEMPORAL_ADDRESS: z
    .string()
    .optional()
    .describe('host:port of your Temporal server; default: the profile’s, else the embedded one.'),
  TEMPORAL_NAMESPACE: z
    .string()
    .default('default')
    .describe('Temporal namespace; default: the profile’s, else `default`.'),
  TEMPORAL_CONFIG_FILE: z
    .string()
    .optional()
    .describe(
      'TOML file with profiles of Temporal’s own tools. Variables take precedence over the profile. Default: no file is read, unless TEMPORAL_PROFILE is set.',
    ),
  TEMPORAL_PROFILE: z
    .string()
    .optional()
    .describe(
      'Profile to use; default: `default`, if TEMPORAL_CONFIG_FILE is set. Without that file it is read from `temporalio/temporal.toml` in the user’s configuration folder.',
    ),
  TEMPORAL_API_KEY: z
    .string()
    .optional()
    .describe('API key for Temporal, sent as a bearer token; enables TLS. A new key requires a restart.'),
  TEMPORAL_TLS: z
    .enum(['true', 'false', '1', '0'])
    .transform((given): 'true' | 'false' => (given === 'true' || given === '1' ? 'true' : 'false'))
    .optional()
    .describe(
      'Whether to use TLS; default: yes with an API key or any TEMPORAL_TLS_… variable, else no, as the embedded server has no TLS.',
    ),
  TEMPORAL_TLS_SERVER_NAME: z
    .string()
    .optional()
    .describe('Name expected in the server’s certificate; default: the host of TEMPORAL_ADDRESS.'),
  TEMPORAL_TLS_SERVER_CA_CERT_PATH: z
    .string()
    .optional()
    .describe(
      'PEM file of the certificate authorities for the server’s certificate; default: the public ones, which Temporal Cloud uses.',
    ),
  TEMPORAL_TLS_SERVER_CA_CERT_DATA: z.string().optional().describe('The same as text instead of a file.'),
  TEMPORAL_TLS_CLIENT_CERT_PATH: z
    .string()
    .optional()
    .describe('PEM file of the client certificate, for servers that require one (mTLS). A new one requires a restart.'),
  TEMPORAL_TLS_CLIENT_CERT_DATA: z.string().optional().describe('The same as text instead of a file.'),
  TEMPORAL_TLS_CLIENT_KEY_PATH: z
    .string()
    .optional()
    .describe('PEM file of the client certificate’s key, without a passphrase.'),
  TEMPORAL_TLS_CLIENT_KEY_DATA: z.string().optional().describe('The same as text instead of a file.'),
  TEMPORAL_TLS_DISABLE_HOST_VERIFICATION: z
    .enum(['false', '0'], {
      error:
        'Temporal’s SDK for TypeScript always verifies the server: set TEMPORAL_TLS_SERVER_NAME and TEMPORAL_TLS_SERVER_CA_CERT_PATH',
    })
    .optional()
    .describe(
      'Used by other Temporal SDKs. This SDK always verifies the server, so any value but `false` is rejected rather than ignored.',
    ),
};
