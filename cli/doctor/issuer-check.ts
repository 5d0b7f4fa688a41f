import { readProviderKeys } from '../../gateway/access/index.js';
import type { Settings } from '../../workers/settings.js';
import { type Check, pass, warn } from './finding.js';

/** Kinds of keys that sign by a private key. */
const ASYMMETRIC: ReadonlySet<unknown> = new Set(['RSA', 'EC', 'OKP']);

/** Reads what the gateway reads of the identity provider. None without one. */
export function issuerChecks(settings: Pick<Settings, 'MILLRACE_OIDC_ISSUER'>): readonly Check[] {
  const { MILLRACE_OIDC_ISSUER: issuer } = settings;
  if (issuer === undefined) return [];
  return [
    {
      id: 'oidc.issuer',
      about: issuer,
      remedy:
        'correct MILLRACE_OIDC_ISSUER, or what stands between; tokens of keys that the gateway does not know are rejected',
      async run(signal) {
        const started = performance.now();
        const { keys } = await readProviderKeys(issuer, signal);
        const ms = performance.now() - started;
        const usable = keys.filter(({ kty, use = 'sig' }) => ASYMMETRIC.has(kty) && use === 'sig').length;
        if (usable > 0) return [pass('oidc.issuer', issuer, `keys for signatures: ${usable}`, ms)];
        const remedy = 'have the provider sign with RSA, an elliptic curve or Ed25519';
        return [warn('oidc.issuer', issuer, 'none of its keys is for signatures: every token is rejected', remedy)];
      },
    },
  ];
}
