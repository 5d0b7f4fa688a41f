import { z } from 'zod';

/** Settings of the way to Temporal, by the names that its own tools have for them. */
export const TEMPORAL_SETTINGS = {
  TEMPORAL_ADDRESS: z
    .string()
    .optional()
    .describe('host:port of your Temporal server; default: that of the profile, else the embedded one.'),
  TEMPORAL_NAMESPACE: z.string().default('default').describe('Temporal namespace; a profile may name another.'),
  TEMPORAL_CONFIG_FILE: z
    .string()
    .optional()
    .describe(
      'TOML file with profiles of Temporal’s own tools. A variable goes before what the profile says. Default: none is read, unless TEMPORAL_PROFILE is set.',
    ),
  TEMPORAL_PROFILE: z
    .string()
    .optional()
    .describe(
      'Profile to take; default: `default`, where TEMPORAL_CONFIG_FILE is set. Without that file it comes from `temporalio/temporal.toml` in the user’s folder of configuration.',
    ),
  TEMPORAL_API_KEY: z
    .string()
    .optional()
    .describe('API key for Temporal, sent as a bearer token; turns TLS on. A new key takes a restart.'),
  TEMPORAL_TLS: z
    .enum(['true', 'false', '1', '0'])
    .transform((given): 'true' | 'false' => (given === 'true' || given === '1' ? 'true' : 'false'))
    .optional()
    .describe(
      'Whether to speak TLS to Temporal; default: yes with an API key or any TEMPORAL_TLS_… variable, else no, as the embedded one speaks none.',
    ),
  TEMPORAL_TLS_SERVER_NAME: z
    .string()
    .optional()
    .describe('Name that is expected in the server’s certificate; default: the host of TEMPORAL_ADDRESS.'),
  TEMPORAL_TLS_SERVER_CA_CERT_PATH: z
    .string()
    .optional()
    .describe(
      'PEM file of the authorities that sign the server’s certificate; default: the public ones, which Temporal Cloud uses.',
    ),
  TEMPORAL_TLS_SERVER_CA_CERT_DATA: z.string().optional().describe('The same as text, in place of a file.'),
  TEMPORAL_TLS_CLIENT_CERT_PATH: z
    .string()
    .optional()
    .describe('PEM file of the client certificate, for servers that want one (mTLS). A new one takes a restart.'),
  TEMPORAL_TLS_CLIENT_CERT_DATA: z.string().optional().describe('The same as text, in place of a file.'),
  TEMPORAL_TLS_CLIENT_KEY_PATH: z
    .string()
    .optional()
    .describe('PEM file of the client certificate’s key, without a passphrase.'),
  TEMPORAL_TLS_CLIENT_KEY_DATA: z.string().optional().describe('The same as text, in place of a file.'),
  TEMPORAL_TLS_DISABLE_HOST_VERIFICATION: z
    .enum(['false', '0'], {
      error:
        'Temporal’s SDK for TypeScript always verifies the server: set TEMPORAL_TLS_SERVER_NAME and TEMPORAL_TLS_SERVER_CA_CERT_PATH',
    })
    .optional()
    .describe(
      'Known to other SDKs of Temporal. This one always verifies the server, so anything but `false` is refused rather than ignored.',
    ),
};
