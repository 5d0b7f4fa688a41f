import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { INSTALL_MARK, STACK_MARK } from '../../deploy/local/stack/marks.js';
import { isActive } from '../../gateway/access/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import { isLoopbackName } from '../../runtime/loopback.js';
import { openPlacement } from '../../workers/applied-placement.js';
import { loadSettings } from '../../workers/config/load.js';
import { expectKeysOrProxy, readKeys, tokenRules } from '../../workers/keys/index.js';
import { createLogger } from '../../workers/logger.js';
import { loadMcpServers } from '../../workers/mcp-servers.js';
import { openWebhooks } from '../../workers/open-webhooks.js';
import { withoutServiceLinks } from '../../workers/settings/service-links.js';
import { isSet, type Settings, settingsSchema, unknownSettings } from '../../workers/settings.js';
import { type Check, errorText, type Finding, fail, pass, warn } from './finding.js';

type Environment = Readonly<Record<string, string | undefined>>;

const SEE = 'correct it; "millrace settings" lists every setting';

/** The settings, or a finding for each invalid one; without settings no other check can run. */
export async function checkSettings(
  environment: Environment,
  config?: string,
): Promise<{ readonly settings?: Settings; readonly findings: Finding[] }> {
  const env = withoutServiceLinks(environment);
  const findings = unknownSettings(env, [STACK_MARK, INSTALL_MARK]).map(({ name, meant }) =>
    warn(
      'settings.known',
      name,
      'there is no setting of this name, so it has no effect',
      meant === undefined ? 'remove it, or look up the name with "millrace settings"' : `did you mean ${meant}?`,
    ),
  );
  try {
    const settings = await loadSettings(env, config);
    const names = Object.keys(settingsSchema().shape);
    const given = names.filter((name) => isSet(env[name]));
    const { file } = settings.config;
    const from = file === undefined ? '' : `, ${Object.keys(settings.config.settings).length} from ${file}`;
    const detail = `${names.length} settings, ${given.length === 0 ? 'all at their defaults' : `given: ${given.join(', ')}`}${from}`;
    return { settings, findings: [pass('settings.valid', 'environment', detail), ...findings] };
  } catch (error) {
    const fields = error instanceof MillraceError ? (error.details.fields ?? []) : [];
    if (fields.length === 0)
      return { findings: [fail('settings.valid', 'environment', errorText(error), SEE), ...findings] };
    return {
      findings: [...fields.map(({ field, message }) => fail('settings.valid', field, message, SEE)), ...findings],
    };
  }
}

/** Settings that name a file of the embedded stack. */
const FILES = ['MILLRACE_PYTHON', 'MILLRACE_LLM_GGUF', 'MILLRACE_LLM_CHAT_TEMPLATE'] as const;

/** How worker and gateway read the other files that a setting names, except those of which another check says more. */
const READERS = {
  MILLRACE_MCP_SERVERS: loadMcpServers,
  MILLRACE_WEBHOOKS: (settings: Settings) => openWebhooks(settings, silent(settings)).close(),
  MILLRACE_PLACEMENT: async (settings: Settings) => (await openPlacement(settings, silent(settings))).close(),
} as const;

const silent = ({ config }: Settings) => createLogger({ MILLRACE_LOG_LEVEL: 'silent', config }, 'doctor');

export const filesCheck = (settings: Settings): Check => ({
  id: 'settings.files',
  about: 'environment',
  remedy: SEE,
  async run() {
    const named = FILES.flatMap((name) => (settings[name] === undefined ? [] : [[name, settings[name]] as const]));
    const readings = (['MILLRACE_MCP_SERVERS', 'MILLRACE_WEBHOOKS', 'MILLRACE_PLACEMENT'] as const).flatMap((name) => {
      const { [name]: file } = settings;
      return file === undefined ? [] : [readAs(name, file, settings)];
    });
    const programs = named.map(async ([name, file]) =>
      // A program without a slash is looked up on PATH when it is started.
      name === 'MILLRACE_PYTHON' && !file.includes('/')
        ? pass('settings.files', name, `${file}, from PATH`)
        : access(file, constants.R_OK).then(
            () => pass('settings.files', name, file),
            (error) => fail('settings.files', name, errorText(error), 'correct the path, or unset it for the default'),
          ),
    );
    return await Promise.all([...programs, ...readings]);
  },
});

async function readAs(name: keyof typeof READERS, file: string, settings: Settings): Promise<Finding> {
  try {
    await READERS[name](settings);
    return pass('settings.files', name, file);
  } catch (error) {
    const remedy = 'correct the file; worker or gateway do not start without it';
    return fail('settings.files', name, errorText(error), remedy);
  }
}

export const gatewayCheck = (settings: Settings): Check => ({
  id: 'settings.gateway',
  about: 'MILLRACE_GATEWAY_HOST',
  remedy: SEE,
  async run() {
    const host = settings.MILLRACE_GATEWAY_HOST;
    const about = 'MILLRACE_GATEWAY_HOST';
    expectKeysOrProxy(settings);
    const rules = tokenRules(settings);
    const tokens = rules && `the bearers of tokens of ${rules.issuer}`;
    if (settings.MILLRACE_KEYS !== undefined) {
      const active = readKeys(settings.MILLRACE_KEYS).filter((key) => isActive(key, Date.now())).length;
      const holders = [...(active > 0 ? [`the holders of ${active} keys`] : []), ...(tokens ? [tokens] : [])];
      if (holders.length > 0) return [pass('settings.gateway', about, `${host}, for ${holders.join(' and ')}`)];
      return [warn('settings.gateway', about, 'no key is active: every request is rejected', 'millrace keys create')];
    }
    if (tokens) return [pass('settings.gateway', about, `${host}, for ${tokens}`)];
    if (settings.MILLRACE_PROXY_AUTHENTICATES === 'yes') {
      if (settings.MILLRACE_PROXY_SECRET !== undefined)
        return [pass('settings.gateway', about, `${host}, behind a proxy that authenticates callers and itself`)];
      const detail = `any client that reaches ${host} can pose as the proxy`;
      const remedy = 'set MILLRACE_PROXY_SECRET, and have the proxy send it as Millrace-Proxy-Secret';
      return [(isLoopbackName(host) ? warn : fail)('settings.gateway', about, detail, remedy)];
    }
    if (isLoopbackName(host)) return [pass('settings.gateway', about, `${host}: this machine only`)];
    const remedy =
      'create keys (millrace keys create) and set MILLRACE_KEYS, or set MILLRACE_OIDC_ISSUER; the gateway does not start otherwise';
    return [fail('settings.gateway', about, `${host} is reachable from other machines, and there are no keys`, remedy)];
  },
});
